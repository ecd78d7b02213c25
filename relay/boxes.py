"""Boxes of ISO base media files (ISO/IEC 14496-12, 4.2), written and read."""

from collections.abc import Iterator

from msgspec import Struct


class Box(Struct, frozen=True, gc=False):
    """Where a box lies in the data it was found in. `start` to `end` is all of it, from `body` on its content."""

    kind: bytes
    start: int
    body: int
    end: int


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return (8 + len(body)).to_bytes(4) + kind + body


def full_box(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return box(kind, (version << 24 | flags).to_bytes(4), *content)


def read_boxes(data: bytes | memoryview, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Those between `start` and `end`, which follow each other there. Raises ValueError where one does not fit."""
    end = len(data) if end is None else end
    while start < end:
        size, body = int.from_bytes(data[start : start + 4]), start + 8
        if size == 1:
            size, body = int.from_bytes(data[start + 8 : start + 16]), start + 16
        stop = start + size
        if not body <= stop <= end:
            raise ValueError(f"box at byte {start}: {size} bytes, of {end - start}")
        yield Box(bytes(data[start + 4 : start + 8]), start, body, stop)
        start = stop


def child(data: bytes | memoryview, parent: Box, kind: bytes) -> Box:
    """The first box of this kind right in the parent. Raises ValueError where there is none."""
    for found in read_boxes(data, parent.body, parent.end):
        if found.kind == kind:
            return found
    raise ValueError(f"no {kind.decode('latin-1')} in {parent.kind.decode('latin-1')}")
