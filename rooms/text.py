"""What may stand in a text, and what counts as an emoji."""

import unicodedata

from rooms.errors import Rejected

_JOINERS = frozenset("\u200d\ufe0f\u20e3")
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me", "Cn", "Co"})
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and symbols that show nothing: Hangul fillers and the empty Braille pattern."""
MAX_MARKS = 16
"""Longest run of combining and format characters; longer ones only serve to overflow the lines around them."""


def check_text(text: str, field: str, *, lines: bool = True) -> None:
    """Raises Rejected(`bad_request`) for a text that holds nothing visible or what no screen should be given:
    control characters (line feed and tab aside, where `lines`), lone surrogates, runs of marks.
    """
    if text.isascii() and text.isprintable():
        if text.isspace():
            raise Rejected("bad_request", "The text holds nothing to see.", field=field)
        return
    visible = False
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        if category in ("Cc", "Cs") and not (lines and char in "\n\t\r"):
            raise Rejected("bad_request", f"The character U+{ord(char):04X} is not allowed here.", field=field)
        marks = marks + 1 if category in ("Mn", "Me", "Cf") else 0
        if marks > MAX_MARKS:
            raise Rejected("bad_request", f"More than {MAX_MARKS} invisible or combining marks in a row.", field=field)
        visible = visible or (category not in _INVISIBLE and char not in _BLANK_LETTERS)
    if not visible:
        raise Rejected("bad_request", "The text holds nothing to see.", field=field)


def _base(char: str) -> bool:
    code = ord(char)
    return (
        0x1F000 <= code <= 0x1FAFF
        or 0x2190 <= code <= 0x2BFF
        or code in (0xA9, 0xAE, 0x203C, 0x2049, 0x2122, 0x2139, 0x3030, 0x303D, 0x3297, 0x3299)
    )


def _part(char: str) -> bool:
    """Whether `char` may stand inside an emoji: joiners, variation selectors, tags, keycap bases."""
    return _base(char) or char in _JOINERS or 0xE0020 <= ord(char) <= 0xE007F or char in "0123456789#*"


def is_emoji(text: str) -> bool:
    """Whether `text` is one or more emoji and nothing else (Unicode TR 51's blocks, joiners, keycaps and tags)."""
    return all(map(_part, text)) and any(_base(char) or char == "\u20e3" for char in text)


def is_emoji_only(text: str) -> bool:
    """Whether a message holds emoji and white space only."""
    return is_emoji("".join(text.split()))


def check_emoji(text: str) -> None:
    """Raises Rejected(`bad_request`) unless `text` is an emoji or a shortcode such as `:wave:`."""
    shortcode = (
        len(text) > 2 and text[0] == text[-1] == ":" and text[1:-1].replace("_", "").isalnum() and text.isascii()
    )
    if not shortcode and not is_emoji(text):
        raise Rejected("bad_request", "A reaction is an emoji or a :shortcode:.", field="emoji")


def preview(text: str, limit: int = 200) -> str:
    """The beginning of a text, as replies quote it."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
