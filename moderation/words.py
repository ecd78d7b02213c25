"""The word list: refuses drafts that hold a blocked word and masks others.

Words are compared as a reader sees them: compatibility forms and case folded (Unicode NFKD, full case folding),
invisible characters and accents left out. Words of scripts that put spaces between words match whole words only;
words of scripts that do not (Chinese, Japanese, Thai, …) and of Korean, whose particles hang on, match anywhere.
"""

import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b
from itertools import groupby

from rooms.drafts import Draft, Verdict

MAX_WORDS = 5_000
"""Most words in one list."""
MAX_WORD = 64
"""Longest word, in characters, before and after folding."""
MASK = "•"

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u302f\u3040-\u318f"
    "\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_INDIC = "\u0900-\u0963\u0966-\u0dff"
_LETTERS = (rf"[^\W_{_UNSPACED}]", f"[{_INDIC}]")
"""What continues a word where words are spaced. Indic vowel signs do, though `\\w` does not hold them."""
_SPACED = re.compile("|".join(_LETTERS))
_NO_LETTER = f"(?!{'|'.join(_LETTERS)})"
_NO_TAIL = "(?![\u1160-\u11ff\u3099\u309a])"
"""Vowels and finals of decomposed Hangul and voicing marks of kana continue a character."""
_FILLERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")


def _ignored(char: str) -> bool:
    """Whether a reader does not see `char`, or sees it only as an ornament of the letter before it.

    Vowel signs of Indic and South-East Asian scripts and voicing marks are told by their combining class.
    """
    match unicodedata.category(char):
        case "Cf" | "Me":
            return True
        case "Mn":
            combining = unicodedata.combining(char)
            ornament = combining == 1 or 10 <= combining <= 35 or combining >= 200
            return ornament or char in _FILLERS or "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
        case _:
            return char in _FILLERS


class _Folding(dict[int, str]):
    """Code point → what it is compared as; a table for `str.translate` that fills itself."""

    BOUND = 20_000

    def __missing__(self, code: int) -> str:
        folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", chr(code)).casefold())
        folded = "" if chr(code) in _FILLERS else "".join(char for char in folded if not _ignored(char))
        if len(self) >= self.BOUND:
            self.clear()
        self[code] = folded
        return folded


_FOLDING = _Folding()


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else text.translate(_FOLDING)


def _folded_words(words: Iterable[str], name: str) -> list[str]:
    """The words as they are compared, sorted. Raises ValueError."""
    given = list(words)
    if len(given) > MAX_WORDS:
        raise ValueError(f"{name}: {len(given)} words; at most {MAX_WORDS} fit")
    folded = set()
    for word in given:
        form = " ".join(_fold(word).split())
        if not form:
            raise ValueError(f"{name}: {word!r} holds nothing that could be found in a text")
        if max(len(word), len(form)) > MAX_WORD:
            raise ValueError(f"{name}: {word[:20]!r}… is longer than {MAX_WORD} characters")
        folded.add(form)
    return sorted(folded)


def _branches(words: list[str], depth: int) -> str:
    """A pattern for what follows the first `depth` characters, the same in all of these sorted, different words.

    One branch a character keeps the search linear in the text, however many words there are: no two branches of one
    place can match the same character.
    """
    ends = len(words[0]) == depth
    choices = [
        (r"\s++" if char == " " else re.escape(char)) + _branches(list(group), depth + 1)
        for char, group in groupby(words[1:] if ends else words, key=lambda word: word[depth])
    ]
    if ends:
        choices.append("")
    return choices[0] if len(choices) == 1 else f"(?:{'|'.join(choices)})"


def _pattern(words: list[str]) -> re.Pattern[str] | None:
    """Finds any of these sorted, different words; None where there are none.

    Each alternative begins with a character, so that the search skips over what begins no word.
    """
    choices = []
    for first, group in groupby(words, key=lambda word: word[0]):
        before = "".join(f"(?<!{letter}{re.escape(first)})" for letter in _LETTERS) if _SPACED.match(first) else ""
        for spaced, same_end in groupby(
            sorted(group, key=lambda word: _SPACED.match(word[-1]) is None),
            key=lambda word: _SPACED.match(word[-1]) is None,
        ):
            choices.append(
                re.escape(first) + before + _branches(list(same_end), 1) + (_NO_TAIL if spaced else _NO_LETTER)
            )
    return re.compile("|".join(choices)) if choices else None


class WordList:
    """The policy `default`: blocks what holds a word of `blocked`, masks the words of `masked`, allows the rest.

    The policy `none` allows everything. Judging is done on the spot. Raises ValueError for a list too long, or a word
    too long or without anything visible.
    """

    def __init__(self, blocked: Iterable[str] = (), masked: Iterable[str] = ()):
        blocked, masked = _folded_words(blocked, "blocked"), _folded_words(masked, "masked")
        self._any = _pattern(sorted({*blocked, *masked}))
        self._blocked = _pattern(blocked)
        self._masked = _pattern(masked)
        digest = blake2b("\0".join([*blocked, "", *masked]).encode(), digest_size=4).hexdigest()
        self._name = f"default@{digest}"
        self._allowed = Verdict("allow", self._name)

    def judge(self, draft: Draft) -> Verdict:
        """Block before mask before allow. A masked text is as long as the draft's, a mark for each character."""
        if draft.policy == "none":
            return Verdict("allow", "none")
        if self._any is None:
            return self._allowed
        folded = _fold(draft.text)
        if self._any.search(folded) is None:
            return self._allowed
        if self._blocked is not None and self._blocked.search(folded):
            return self._block("blocked_words")
        text = self._mask(draft.text, folded)
        if self._any.search(_fold(text)):
            # Masking a sign that stands for several characters ("½") can bare a word beside it.
            return self._block("masked_words")
        return Verdict("mask", self._name, text=text, rule="masked_words", reason="Words were masked.")

    def _block(self, rule: str) -> Verdict:
        return Verdict("block", self._name, rule=rule, reason="This holds a word that is not allowed here.")

    def _mask(self, text: str, folded: str) -> str:
        assert self._masked is not None  # noqa: S101 - something was found, and it was no blocked word
        came_from = [i for i, char in enumerate(text) for _ in _fold(char)]
        shown = list(text)
        for match in self._masked.finditer(folded):
            first, last = came_from[match.start()], came_from[match.end() - 1]
            shown[first : last + 1] = MASK * (last + 1 - first)
        return "".join(shown)
