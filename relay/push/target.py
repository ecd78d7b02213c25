"""Where a stream is pushed: the address taken apart, and how it may be shown."""

import re
from urllib.parse import urlsplit

from msgspec import Struct

_PORTS = {"rtmp": 1_935, "rtmps": 443}
_HOST = re.compile(r"(?=.{1,253}$)[0-9a-z_-]{1,63}(\.[0-9a-z_-]{1,63})*\.?|(?=.*:)[0-9a-f:.]{2,45}")
HIDDEN = "***"


class Target(Struct, frozen=True):
    """`name` is the secret; `address` (tcUrl) and `shown` are without it."""

    secure: bool
    host: str
    port: int
    app: str
    name: str
    address: str

    @property
    def shown(self) -> str:
        return f"{self.address}/{HIDDEN}"

    def without_secret(self, text: str) -> str:
        """A text of the other side's, which may quote the key."""
        return text.replace(self.name, HIDDEN).replace(self.name.partition("?")[0], HIDDEN)

    def __repr__(self) -> str:
        return f"Target({self.shown!r})"


def read_target(url: str) -> Target:
    """rtmp[s]://HOST[:PORT]/APP/KEY, where APP may have slashes and KEY a query. Raises ValueError, without the URL."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS:
        raise ValueError("url: rtmp:// or rtmps:// is needed")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host) or parts.username is not None or parts.fragment:
        raise ValueError("url: a host is needed, and neither a user nor a fragment is taken")
    try:
        port = parts.port or _PORTS[parts.scheme]
    except ValueError:
        raise ValueError("url: the port is not a number up to 65535") from None
    app, _, name = parts.path.strip("/").rpartition("/")
    if not app or not name:
        raise ValueError("url: after the host an application and a stream key are needed: rtmp://HOST/APP/KEY")
    name = f"{name}?{parts.query}" if parts.query else name
    # Twitch and the like compare tcUrl with what they gave out, which has no port where it is the usual one.
    where = f"{parts.scheme}://{parts.netloc}/{app}"
    return Target(parts.scheme == "rtmps", host, port, app, name, where)
