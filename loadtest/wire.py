"""The client's half of RFC 6455, as little of it as a load needs: one opening handshake, masked frames out, whole
unmasked frames in.
"""

import base64
import os
import struct

from websockets.speedups import apply_mask

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def upgrade(host: str, port: int, token: str, subprotocol: str) -> bytes:
    """The request that opens `/v1/socket` (RFC 6455 section 4.1)."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET /v1/socket HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {subprotocol}\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


def masked(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole frame from a client, of up to 65,535 bytes (RFC 6455 sections 5.2 and 5.3)."""
    mask = os.urandom(4)
    size = len(payload)
    length = struct.pack("!B", 0x80 | size) if size < 126 else struct.pack("!BH", 254, size)
    return b"".join((bytes((0x80 | opcode,)), length, mask, apply_mask(payload, mask)))


def framed(payload: bytes, opcode: int = TEXT) -> bytes:
    """The frame in which a server sends such a payload, its length in the fewest bytes (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


def frame_at(data: bytes | bytearray, start: int) -> tuple[int, int, int] | None:
    """Opcode, start of the payload and end of the server's frame at `start`; None where it is not all there."""
    have = len(data) - start
    if have < 2:
        return None
    size, payload = data[start + 1], start + 2
    if size == 126:
        if have < 4:
            return None
        size, payload = int.from_bytes(data[start + 2 : start + 4]), start + 4
    elif size == 127:
        if have < 10:
            return None
        size, payload = int.from_bytes(data[start + 2 : start + 10]), start + 10
    end = payload + size
    return (data[start] & 0x0F, payload, end) if end <= len(data) else None
