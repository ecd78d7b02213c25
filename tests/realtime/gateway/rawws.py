"""A WebSocket client that can do everything wrong: frames as bytes, over a plain blocking socket."""

import socket
from types import TracebackType
from typing import Self

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, section 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
MASK = b"\x37\xfa\x21\x3d"


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes | None = MASK, length: int = -1
) -> bytes:
    """A client's frame. `rsv` is three bits; `length` writes another length than the payload's."""
    size = len(payload) if length < 0 else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    masked = 0 if mask is None else 0x80
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += bytes([masked | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([masked | 127]) + size.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


def request(path: str = "/v1/socket", *, without: str = "", **headers: str) -> bytes:
    """The head of an opening handshake; a header's underscores become hyphens, `without` leaves one out."""
    fields = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    fields.pop(without, None)
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


class RawClient:
    """Blocking, with a timeout that fails a test rather than hanging it."""

    def __init__(self, port: int, *, receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leave; by a reset where something was unread, as the kernel has it."""
        self._read.close()
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        """All pieces in one segment."""
        self.socket.sendall(b"".join(pieces))

    def read_response(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case name, and the body."""
        status = int(self._read.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._read.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, self._read.read(int(headers.get("content-length", 0)))

    def open(self, *behind: bytes, path: str = "/v1/socket", **headers: str) -> dict[str, str]:
        """Shake hands; `behind` is sent in the request's segment. The response's headers."""
        self.send(request(path, **headers), *behind)
        status, answered, _ = self.read_response()
        assert status == 101
        return answered

    def read_frame(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload; it has to be final and unmasked. (-1, b"") at the stream's end."""
        head = self._read.read(2)
        if not head:
            return -1, b""
        assert head[0] & 0xF0 == 0x80
        length = head[1]
        if length >= 126:
            length = int.from_bytes(self._read.read(2 if length == 126 else 8), "big")
        return head[0] & 0x0F, self._read.read(length)

    def read_close(self) -> tuple[int, bytes]:
        """Code and reason of a close frame, which has to be the next, and the last thing on the stream."""
        opcode, payload = self.read_frame()
        assert opcode == 0x8, (opcode, payload[:40])
        assert self.read_frame() == (-1, b"")
        return int.from_bytes(payload[:2], "big"), payload[2:]
