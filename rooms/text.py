"""What may stand in a text, and what counts as an emoji."""

import re
import unicodedata

from rooms.errors import Rejected

_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me", "Co"})
_UNWANTED = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
"""Letters and symbols that show nothing: Hangul fillers and the empty Braille pattern."""
_PICTOGRAPH = (
    "[\u00a9\u00ae\u203c\u2049\u2122\u2139\u2194-\u2199\u21a9\u21aa\u231a\u231b\u2328\u23cf\u23e9-\u23f3\u23f8-\u23fa"
    "\u24c2\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u2600-\u2775\u2794-\u27bf\u2934\u2935\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55"
    "\u3030\u303d\u3297\u3299\U0001f004\U0001f0cf\U0001f170\U0001f171\U0001f17e\U0001f17f\U0001f18e"
    "\U0001f191-\U0001f19a\U0001f201\U0001f202\U0001f21a\U0001f22f\U0001f232-\U0001f23a\U0001f250\U0001f251"
    "\U0001f300-\U0001f3fa\U0001f400-\U0001f64f\U0001f680-\U0001f6ff\U0001f7e0-\U0001f7ff\U0001f900-\U0001f9ff"
    "\U0001fa70-\U0001faff]"
)
"""What can be an emoji of its own, by block where a block holds little else: assigned ones and those to come."""
_ELEMENT = rf"{_PICTOGRAPH}(?:\ufe0f\u20e3?|[\U0001f3fb-\U0001f3ff])?"
_SEQUENCE = (
    r"(?:[\U0001f1e6-\U0001f1ff]{2}"
    r"|[0-9#*]\ufe0f?\u20e3"
    r"|\U0001f3f4[\U000e0030-\U000e007a]{2,6}\U000e007f"
    rf"|{_ELEMENT}(?:\u200d{_ELEMENT})*+)"
)
"""Unicode TR 51, ED-17: flags, keycaps, flags of regions (tags), and all else."""
_EMOJI = re.compile(_SEQUENCE)
_EMOJI_ONLY = re.compile(rf"\s*+(?:{_SEQUENCE}\s*+)++")
_SHORTCODE = re.compile(r":[_+-]*+[A-Za-z0-9][A-Za-z0-9_+-]*+:")
_PICTOGRAPHS_TO_COME = range(0x1F300, 0x1FB00)
"""Emoji newer than this Python's Unicode are unassigned to it, and yet shown."""

MAX_MARKS = 16
"""Longest run of combining and format characters; longer ones only serve to overflow the lines around them."""


def check_text(text: str, field: str, *, lines: bool = True) -> None:
    """Raises Rejected(`bad_request`) for a text that holds nothing visible or what no screen should be given:
    control characters and line breaks (line feed and tab aside, where `lines`), lone surrogates, runs of marks.
    """
    if text.isascii() and text.isprintable():
        if text.isspace():
            raise Rejected("bad_request", "The text holds nothing to see.", field=field)
        return
    visible = False
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        if category in _UNWANTED and not (lines and (char in "\n\t\r" or category in ("Zl", "Zp"))):
            raise Rejected("bad_request", f"The character U+{ord(char):04X} is not allowed here.", field=field)
        marks = marks + 1 if category in ("Mn", "Me", "Cf") else 0
        if marks > MAX_MARKS:
            raise Rejected("bad_request", f"More than {MAX_MARKS} invisible or combining marks in a row.", field=field)
        visible = visible or _shows(char, category)
    if not visible:
        raise Rejected("bad_request", "The text holds nothing to see.", field=field)


def _shows(char: str, category: str) -> bool:
    if category == "Cn":
        return ord(char) in _PICTOGRAPHS_TO_COME
    return category not in _INVISIBLE and char not in _BLANK_LETTERS


def is_emoji(text: str) -> bool:
    """Whether `text` is one emoji: a pictograph with its variation, skin tone and joined ones, a flag or a keycap."""
    return _EMOJI.fullmatch(text) is not None


def is_emoji_only(text: str) -> bool:
    """Whether a message holds emoji and white space only."""
    return _EMOJI_ONLY.fullmatch(text) is not None


def check_emoji(text: str) -> None:
    """Raises Rejected(`bad_request`) unless `text` is an emoji or a shortcode such as `:wave:`."""
    if not is_emoji(text) and _SHORTCODE.fullmatch(text) is None:
        raise Rejected("bad_request", "A reaction is an emoji or a :shortcode:.", field="emoji")


def preview(text: str, limit: int = 200) -> str:
    """The beginning of a text, as replies quote it."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
