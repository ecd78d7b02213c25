"""What the full-text index holds of a text, and what a query asks of it.

The index (FTS5's `unicode61`, or `tokens` for PostgreSQL) finds words by spaces, which Chinese, Japanese and Korean do
without. A run of their characters becomes its overlapping pairs and its last character alone, `你好吗` →
`你好 好吗 吗`: so any two neighbours are found as a word, longer stretches as a phrase, and one character as the
beginning of a pair.
"""

import re
import unicodedata
from typing import NamedTuple

_CJK_SIGNS = (
    "\u3005\u3007\u3041-\u3096\u309d\u309e\u30a1-\u30fa\u30fc-\u30fe\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_CJK = re.compile(f"[{_CJK_SIGNS}]+")

_WORD = re.compile(rf"(?:[^\W_]|[{_CJK_SIGNS}])+")
_CERTAIN = re.compile(f"[0-9A-Za-z{_CJK_SIGNS}]")
"""Tokenizers know signs of newer scripts as letters or not, by their age."""
_ACCENT = re.compile("[\u0300-\u036f]")


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _spread(match: re.Match[str]) -> str:
    run = match.group()
    return " ".join(("", *_pairs(run), run[-1], ""))


def indexed(text: str) -> str:
    """The text as it is given to the index."""
    if text.isascii():
        return text
    return _CJK.sub(_spread, unicodedata.normalize("NFKC", text))


class Term(NamedTuple):
    """Words that must follow each other; where `begins`, the last of them may go on."""

    text: str
    begins: bool


def terms(query: str) -> list[Term]:
    """What a text must hold to be found: every word of `query`, the last one with its beginning."""
    found: list[Term] = []
    for word in unicodedata.normalize("NFKC", query).replace("\0", " ").split():
        start = 0
        for run in _CJK.finditer(word):
            found += _phrase(word[start : run.start()])
            pairs = _pairs(run.group())
            found.append(Term(" ".join(pairs), begins=False) if pairs else Term(run.group(), begins=True))
            start = run.end()
        found += _phrase(word[start:])
    if found:
        found[-1] = found[-1]._replace(begins=True)
    return found


def _phrase(word: str) -> list[Term]:
    """Signs alone are no words: the index does not hold them."""
    return [Term(word, begins=False)] if any(map(str.isalnum, word)) else []


def match(query: str) -> str:
    """An FTS5 expression of the query's terms; none of it is read as FTS5's own syntax."""
    quoted = ((term.text.replace('"', '""'), term.begins) for term in terms(query))
    return " ".join(f'"{text}"{"*" if begins else ""}' for text, begins in quoted)


def sample(text: str) -> str:
    """An FTS5 expression that finds the text: its longest word, of those that are a word to every tokenizer. Empty
    where there is none.
    """
    known = [word for word in indexed(text).split() if _CERTAIN.search(word)]
    return '"' + max(known, key=len).replace('"', '""') + '"' if known else ""


def tokens(text: str) -> list[str]:
    """The words of an indexed text or of a term, in order, for an index that has no tokenizer of its own: as FTS5's
    `unicode61` would find them, in lower case and without accents.
    """
    if text.isascii():
        return _WORD.findall(text.lower())
    bare = _ACCENT.sub("", unicodedata.normalize("NFD", text.lower()))
    return _WORD.findall(unicodedata.normalize("NFC", bare))
