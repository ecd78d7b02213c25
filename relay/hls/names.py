"""Names of a stream's segments, parts and init segments in URIs.

They cannot be guessed, so who has one was given it by a playlist: a cache may keep and serve them to all without
knowing who asks, and who is refused playlists has no more than the names that were in the last, a few seconds' worth.
"""

import base64
import hmac
import re
from typing import Literal

from msgspec import Struct

_NAME = re.compile(r"(a?)([isp])([0-9]{1,10})(?:\.([0-9]{1,4}))?-([A-Za-z0-9_-]{12})\.(?:m4s|mp4)")
_BYTES = 9

Kind = Literal["i", "s", "p"]
"""Init segment, segment, part."""


class Name(Struct, frozen=True):
    """What a URI's last component names. `number`: the init segment's, or the media sequence number."""

    kind: Kind
    audio: bool
    number: int
    index: int = 0


class Names:
    """Those of one stream."""

    def __init__(self, secret: bytes):
        self._secret = secret

    def init(self, number: int, *, audio: bool) -> str:
        return f"{'a' * audio}i{number}-{self._mark('i', number)}.mp4"

    def segment(self, msn: int, *, audio: bool) -> str:
        return f"{'a' * audio}s{msn}-{self._mark('s', msn)}.m4s"

    def part(self, msn: int, index: int, *, audio: bool) -> str:
        return f"{'a' * audio}p{msn}.{index}-{self._mark('s', msn)}.m4s"

    def read(self, text: str) -> Name | None:
        """None for what is no name of this stream."""
        found = _NAME.fullmatch(text)
        if found is None:
            return None
        audio, kind, number, index, _ = found.groups()
        name = Name(kind, bool(audio), int(number), int(index or 0))  # type: ignore[arg-type]  # by the pattern
        return name if hmac.compare_digest(text.encode(), self._text(name).encode()) else None

    def _text(self, name: Name) -> str:
        if name.kind == "i":
            return self.init(name.number, audio=name.audio)
        if name.kind == "s":
            return self.segment(name.number, audio=name.audio)
        return self.part(name.number, name.index, audio=name.audio)

    def _mark(self, kind: str, number: int) -> str:
        digest = hmac.digest(self._secret, f"{kind}{number}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:_BYTES]).decode()
