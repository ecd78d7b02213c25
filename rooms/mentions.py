"""Finds who a text mentions: `@` and a user id, `@` and a name that just one member bears, or `@all`."""

from collections.abc import Iterator, Mapping

from msgspec import Struct

MAX_MENTIONS = 20
MAX_NAME = 128
"""Longest id or name, in characters."""
EVERYBODY = "all"


class Named(Struct, frozen=True):
    """Who may be mentioned, of those a text might mean: ids as given, names folded to one case.
    A name that several bear maps to None.
    """

    ids: frozenset[str] = frozenset()
    names: Mapping[str, str | None] = {}


def _tails(text: str) -> list[str]:
    """What follows each `@` that does not stand inside a word (so no mail address mentions anybody): MAX_NAME
    characters, and one more that tells whether the word goes on.

    Only ASCII tells: before an `@` in Chinese, Japanese or Thai text there is no space.
    """
    tails: list[str] = []
    at = text.find("@")
    while at >= 0 and len(tails) < MAX_MENTIONS:
        if at == 0 or not (text[at - 1].isalnum() and text[at - 1].isascii()):
            tails.append(text[at + 1 : at + 2 + MAX_NAME])
        at = text.find("@", at + 1)
    return tails


def _ends(tail: str) -> Iterator[int]:
    """The lengths, longest first, at which a word ends."""
    for length in range(min(len(tail), MAX_NAME), 0, -1):
        if length == len(tail) or not (tail[length].isalnum() or tail[length] == "_") or not tail[length].isascii():
            yield length


def candidates(text: str) -> frozenset[str]:
    """All beginnings of what follows an `@`: the strings to look up as ids and, folded, as names."""
    return frozenset(tail[:length] for tail in _tails(text) for length in _ends(tail))


def mentioned(text: str, known: Named) -> tuple[str, ...]:
    """User ids in order of first mention, the longest match at each `@`; EVERYBODY stands for `@all`."""
    found: dict[str, None] = {}
    for tail in _tails(text):
        for length in _ends(tail):
            word = tail[:length]
            user = word if word in known.ids else known.names.get(word.casefold())
            if user is None and word == EVERYBODY:
                user = EVERYBODY
            if user is not None:
                found.setdefault(user)
                break
    return tuple(found)
