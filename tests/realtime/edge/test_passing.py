import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.edge.passing import Arrivals, Passed, Passer
from relay import unix

PASSED = Passed(b"GET /v1/rooms/r1/stream HTTP/1.1\r\n\r\n\x81\x80", "r1", "ann", "10.0.0.1")


class Taken:
    """The edge's end, and what has come there."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[Passed, socket.socket]] = asyncio.Queue()

    def __call__(self, passed: Passed, sock: socket.socket) -> None:
        self.queue.put_nowait((passed, sock))

    async def next(self) -> tuple[Passed, socket.socket]:
        async with asyncio.timeout(10):
            return await self.queue.get()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


async def test_the_socket_arrives_with_what_was_read_of_it(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    client, accepted = pair
    path, taken = tmp_path / "run" / "edge-0.pass", Taken()
    with Arrivals(path, taken):
        passer = Passer(path)
        passer.hand_over(accepted, PASSED)
        accepted.close()
        passer.close()
        passed, sock = await taken.next()
    with sock:
        assert passed == PASSED
        assert not sock.getblocking()
        sock.send(b"hello")
        assert client.recv(5) == b"hello"
    assert client.recv(1) == b""


async def test_an_edge_process_that_was_replaced_is_found_again(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    path, taken = tmp_path / "edge-0.pass", Taken()
    passer = Passer(path)
    for _ in range(2):
        with Arrivals(path, taken):
            passer.hand_over(pair[1], PASSED)
            (await taken.next())[1].close()
    passer.close()


async def test_without_an_edge_process_the_caller_keeps_the_socket(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    passer = Passer(tmp_path / "edge-0.pass")
    with pytest.raises(OSError, match="No such file"):
        passer.hand_over(pair[1], PASSED)
    with Arrivals(tmp_path / "edge-0.pass", Taken()):
        pass
    with pytest.raises(ConnectionRefusedError):
        passer.hand_over(pair[1], PASSED)
    pair[1].send(b"still here")
    assert pair[0].recv(10) == b"still here"


async def test_one_that_takes_nothing_makes_nobody_wait(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    path, taken = tmp_path / "edge-0.pass", Taken()
    with Arrivals(path, taken):
        passer, given = Passer(path), 0
        try:
            while True:  # the loop is not let go: nobody reads
                passer.hand_over(pair[1], PASSED)
                given += 1
        except BlockingIOError:
            passer.close()
        assert given
        for _ in range(given):
            (await taken.next())[1].close()


async def test_what_is_no_passing_is_thrown_away_and_its_descriptors_closed(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    path, taken = tmp_path / "edge-0.pass", Taken()
    passer = Passer(path)
    with Arrivals(path, taken) as arrivals, unix.connect(path, socket.SOCK_DGRAM) as sender:
        sender.send(b"without a descriptor")
        passer.hand_over(pair[1], PASSED)
        (await taken.next())[1].close()
        before = len(os.listdir("/proc/self/fd"))
        socket.send_fds(sender, [b"\xff no msgpack"], [pair[1].fileno()])
        socket.send_fds(sender, [b"two"], [pair[1].fileno()] * 2)
        passer.hand_over(pair[1], PASSED)
        (await taken.next())[1].close()
        assert arrivals.refused == 3
        assert len(os.listdir("/proc/self/fd")) == before
    passer.close()
