"""Where encoders and browsers reach this server's media."""

from urllib.parse import urlsplit

from msgspec import Struct

_RTMP, _RTMPS = 1935, 443


class Addresses(Struct):
    """As configured; `rtmp_port` is set anew where the system has chosen it."""

    public_url: str = ""
    rtmp_port: int = _RTMP
    rtmps: bool = False

    def whip(self, room: str, host: str) -> str:
        """`host` is the Host that the client asked for."""
        return f"{self._base(host)}/v1/rooms/{room}/whip"

    def rtmp(self, host: str) -> str:
        """The server; a stream key goes after it, behind a slash or in the encoder's own field."""
        scheme, usual = ("rtmps", _RTMPS) if self.rtmps else ("rtmp", _RTMP)
        name = urlsplit(self._base(host)).hostname or "localhost"
        name = f"[{name}]" if ":" in name else name
        port = "" if self.rtmp_port == usual else f":{self.rtmp_port}"
        return f"{scheme}://{name}{port}/live"

    def _base(self, host: str) -> str:
        return self.public_url.rstrip("/") or f"http://{host or 'localhost'}"
