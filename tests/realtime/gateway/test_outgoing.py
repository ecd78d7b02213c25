"""Writing to a socket past its transport: in order, whatever the kernel takes, and never to another's descriptor."""

import asyncio
import contextlib
import hashlib
import os
import random
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from realtime.gateway.outgoing import Cork
from tests.support.wires import Wire, read, read_at_least, wired

KINDS = ["tcp", "unix"]


def make() -> Wire:
    return Wire(Cork())


class Writes:
    """Direct writes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Writes:
    counted = Writes()

    class Counting(socket.SocketType):
        def send(self, frames: Any, flags: int = 0, /) -> int:
            counted.sizes.append(len(frames))
            return super().send(frames, flags)

    monkeypatch.setattr(socket, "SocketType", Counting)
    return counted


@pytest.mark.parametrize("kind", KINDS)
async def test_all_comes_in_order_whatever_the_kernel_takes(kind: str) -> None:
    wire, theirs = await wired(kind, make)
    chance = random.Random(kind)
    sent, got = b"", b""
    for number in range(400):
        piece = number.to_bytes(4, "big") * chance.choice((1, 10, 100, 1_000, 5_000))
        wire.send(piece)
        sent += piece
        if chance.random() < 0.3:
            got += await read_at_least(theirs, chance.randrange(2))
    got += await read_at_least(theirs, len(sent) - len(got))
    assert got == sent
    assert wire.clear
    assert wire.calls.count("waits") == wire.calls.count("drained") > 0
    wire.transport.abort()
    theirs.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_overtakes_what_waits_of_a_frame(kind: str, writes: Writes) -> None:
    wire, theirs = await wired(kind, make)
    large = os.urandom(500_000)
    wire.send(b"before")
    wire.send(large)
    assert wire.calls == ["waits", "chokes"]
    assert 0 < wire.unsent < len(large)
    wire.send(b"behind")
    wire.send(b"all")
    assert writes.sizes == [6, len(large)]
    assert await read_at_least(theirs, len(large) + 15) == b"before" + large + b"behindall"
    assert wire.calls == ["waits", "chokes", "drained"]
    assert (wire.clear, wire.choked) == (True, False)
    wire.send(b"direct")
    assert writes.sizes == [6, len(large), 6]
    assert read(theirs) == b"direct"
    wire.transport.abort()
    theirs.close()


async def test_a_little_that_waits_chokes_nobody() -> None:
    wire, theirs = await wired("unix", make)
    sent = 0
    while wire.clear:
        wire.send(bytes(1_000))
        sent += 1_000
    assert wire.calls == ["waits"]
    assert 0 < wire.unsent <= 1_000
    await read_at_least(theirs, sent)
    assert wire.calls == ["waits", "drained"]
    wire.transport.abort()
    theirs.close()


def reset(theirs: socket.socket) -> None:
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    theirs.close()


@pytest.mark.parametrize(("kind", "leave"), [("tcp", reset), ("unix", socket.socket.close)])
async def test_a_peer_that_has_gone_ends_the_connection_once(kind: str, leave: Callable[[socket.socket], None]) -> None:
    wire, theirs = await wired(kind, make)
    wire.send(b"x")
    leave(theirs)
    for _ in range(5):
        wire.send(b"in vain")
    assert not wire.clear
    assert wire.socket  # its own for as long as nobody else can have the descriptor
    await wire.lost
    assert not wire.clear
    assert wire.socket is None


async def test_what_waits_when_the_peer_goes_is_lost_with_the_connection() -> None:
    wire, theirs = await wired("tcp", make)
    wire.send(bytes(500_000))
    reset(theirs)
    wire.send(b"in vain")
    await wire.lost
    assert wire.socket is None


# --- the cork


@pytest.mark.parametrize("waits", [False, True])
async def test_what_is_written_under_a_cork_is_one_write_a_connection(waits: bool, writes: Writes) -> None:
    cork = Cork()
    pairs = [await wired("unix", lambda: Wire(cork)) for _ in range(3)]
    sent = [b"", b"", b""]
    if waits:
        for number, (wire, _) in enumerate(pairs):
            wire.send(bytes(50_000))
            sent[number] += bytes(50_000)
    before = len(writes.sizes)
    with cork:
        for number in range(256):
            which = number % 2
            pairs[which][0].send(b"%d," % number)
            sent[which] += b"%d," % number
        assert len(writes.sizes) == before
    pairs[0][0].send(b"!")
    sent[0] += b"!"
    assert len(writes.sizes) - before == (0 if waits else 3)
    for (wire, theirs), expected in zip(pairs, sent, strict=True):
        assert await read_at_least(theirs, len(expected)) == expected
        wire.transport.abort()
        theirs.close()


async def test_an_exception_under_a_cork_holds_nothing_back() -> None:
    cork = Cork()
    wire, theirs = await wired("unix", lambda: Wire(cork))

    def misbehave() -> None:
        with cork:
            wire.send(b"a")
            raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        misbehave()
    assert read(theirs) == b"a"
    wire.send(b"b")
    assert read(theirs) == b"b"
    wire.transport.abort()
    theirs.close()


async def test_a_flush_under_a_cork_leaves_it_on(writes: Writes) -> None:
    cork = Cork()
    wire, theirs = await wired("unix", lambda: Wire(cork))
    with cork:
        wire.send(b"a")
        cork.flush()
        assert read(theirs) == b"a"
        wire.send(b"b")
        wire.send(b"c")
        assert read(theirs) == b""
    assert read(theirs) == b"bc"
    assert writes.sizes == [1, 2]
    wire.transport.abort()
    theirs.close()


# --- TLS


async def test_tls_is_written_to_through_its_transport_alone(certificate: tuple[Path, Path], writes: Writes) -> None:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(*certificate)
    trusting = ssl.create_default_context(cafile=str(certificate[0]))
    trusting.check_hostname = False
    wire = make()
    server = await asyncio.get_running_loop().create_server(lambda: wire, "127.0.0.1", 0, ssl=serving)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), ssl=trusting)
    await wire.made
    assert not wire.clear
    assert wire.socket is None
    with wire.cork:
        wire.send(b"small")
    large = os.urandom(4_000_000)
    wire.send(large)
    wire.send(large)
    assert wire.calls == ["chokes"]
    wire.send(b"behind")
    found = await reader.readexactly(2 * len(large) + 11)
    assert hashlib.sha256(found).digest() == hashlib.sha256(b"small" + large + large + b"behind").digest()
    wire.send(b"again")
    assert await reader.readexactly(5) == b"again"
    assert wire.calls == ["chokes", "drained"]
    assert (wire.clear, wire.choked) == (False, False)
    assert writes.sizes == []
    writer.close()
    await wire.lost
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    server.close()
