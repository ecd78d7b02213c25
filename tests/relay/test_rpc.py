"""Calls between processes: typed, bounded, and with an end when the other side stalls or dies."""

import asyncio
import itertools
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Decoder, Encoder

from relay import rpc, unix
from relay.ports import Claim, Refused
from relay.rpc import Call, Counters, Failure, Lost, Peer, Result, methods_of
from relay.rpc_links import Link, Listener
from tests.relay.rpc_support import TEXT, Port, Served

NOTHING = Decoder(None)
CLAIM = Claim("rtmp", "127.0.0.1", key="k")


@asynccontextmanager
async def linked(path: Path, served: Served | None = None) -> AsyncIterator[tuple[Link, Listener]]:
    """Both ends in this process; either may call."""
    listener = Listener(methods_of(Port, served or Served()))
    await listener.start(unix.listen(path))
    link = Link(path, methods_of(Port, Served()))
    link.start()
    try:
        yield link, listener
    finally:
        await link.close()
        await listener.close()


@asynccontextmanager
async def process(path: Path) -> AsyncIterator[Process]:
    peer = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.relay.rpc_support", str(path), stdout=PIPE)
    assert peer.stdout is not None
    await peer.stdout.readline()
    try:
        yield peer
    finally:
        if peer.returncode is None:
            peer.kill()
        await peer.wait()


async def test_both_sides_may_call(tmp_path: Path) -> None:
    async with linked(tmp_path / "a.sock") as (link, listener):
        assert await link.call(TEXT, "greet", CLAIM, 2) == "hello k hello k "
        assert await listener.call(TEXT, "greet", CLAIM, 1) == "hello k "


async def test_refusals_arrive_as_they_were(tmp_path: Path) -> None:
    async with linked(tmp_path / "a.sock") as (link, _):
        with pytest.raises(Refused) as refused:
            await link.call(NOTHING, "refuse", "banned")
        assert (refused.value.code, refused.value.message, refused.value.retry_after_ms) == ("banned", "not so", 700)


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [("fail", (), "internal"), ("greet", (1, 2), "unavailable"), ("sing", (), "unavailable")],
)
async def test_what_goes_wrong_there_is_told_without_its_details(
    tmp_path: Path, method: str, arguments: tuple[object, ...], code: str
) -> None:
    async with linked(tmp_path / "a.sock") as (link, _):
        with pytest.raises(Refused) as refused:
            await link.call(NOTHING, method, *arguments)
        assert refused.value.code == code
        assert "secret" not in refused.value.message
        assert await link.call(TEXT, "greet", CLAIM, 1) == "hello k "


async def test_an_answer_of_another_type_is_no_answer(tmp_path: Path) -> None:
    async with linked(tmp_path / "a.sock") as (link, _):
        with pytest.raises(Refused, match="greet"):
            await link.call(NOTHING, "greet", CLAIM, 1)


async def test_calls_have_a_deadline_on_both_sides(tmp_path: Path) -> None:
    served = Served()
    async with linked(tmp_path / "a.sock", served) as (link, _):
        with pytest.raises(Refused, match="wait"):
            await link.call(NOTHING, "wait", seconds=0.05)
        await asyncio.wait_for(served.given_up.wait(), 10)


async def test_calls_beyond_the_bound_are_refused_and_counted(tmp_path: Path) -> None:
    async with linked(tmp_path / "a.sock") as (link, _):
        assert await link.call(TEXT, "greet", CLAIM, 1)
        peer = link.peer
        assert peer is not None
        waiting = [asyncio.create_task(peer.call(NOTHING, "wait", seconds=60)) for _ in range(rpc.MOST_CALLS)]
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="calls wait already"):
            await peer.call(TEXT, "greet", CLAIM, 1)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_calls_of_a_peer_that_keeps_no_bound_are_refused(tmp_path: Path) -> None:
    counters = Counters()
    listener = Listener(methods_of(Port, Served()), counters=counters)
    path = tmp_path / "a.sock"
    await listener.start(unix.listen(path))
    reader, writer = await asyncio.open_unix_connection(str(path))
    call = Encoder().encode((0, 1, "wait", (), 60.0))
    writer.write((len(call).to_bytes(4) + call) * (rpc.MOST_CALLS + 1))
    size = int.from_bytes(await reader.readexactly(4))
    answer = Decoder(Call | Result | Failure).decode(await reader.readexactly(size))
    assert isinstance(answer, Failure)
    assert answer.code == "unavailable"
    assert counters.refused == 1
    writer.close()
    await listener.close()


@pytest.mark.parametrize("sent", [b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b"\0\0\0\2\x91\x07"])
async def test_who_sends_no_frames_is_cut_off(tmp_path: Path, sent: bytes) -> None:
    counters = Counters()
    listener = Listener(methods_of(Port, Served()), counters=counters)
    await listener.start(unix.listen(tmp_path / "a.sock"))
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "a.sock"))
    writer.write(sent)
    assert await reader.read() == b""
    assert counters.cut_off == 1
    writer.close()
    await listener.close()


async def test_a_killed_peer_fails_its_calls_at_once_and_its_successor_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    link = Link(path, {})
    link.start()
    async with process(path) as first:
        waiting = asyncio.create_task(link.call(NOTHING, "wait", seconds=60))
        assert await link.call(TEXT, "greet", CLAIM, 1) == "hello k "
        first.kill()
        with pytest.raises(Lost):
            await waiting
    with pytest.raises(Lost):
        await link.call(TEXT, "greet", CLAIM, 1, seconds=0.05)
    early = asyncio.create_task(link.call(TEXT, "greet", CLAIM, 1, seconds=60))
    async with process(path):
        assert await early == "hello k "
    await link.close()


async def test_a_stalled_peer_costs_a_call_its_deadline_and_no_more_memory_than_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    counters = Counters()
    link = Link(path, {}, counters=counters)
    link.start()
    async with process(path) as peer:
        assert await link.call(TEXT, "greet", CLAIM, 1) == "hello k "
        peer.send_signal(signal.SIGSTOP)
        with pytest.raises(Refused, match=r"no answer within 0\.05 s"):
            await link.call(TEXT, "greet", CLAIM, 1, seconds=0.05)
        assert counters.late == 1
        large = Claim("whip", "127.0.0.1", key="k" * 500_000)
        calls = [asyncio.create_task(link.call(TEXT, "greet", large, 1, seconds=60)) for _ in range(20)]
        for call in calls:
            with pytest.raises(Lost):
                await call
        assert counters.cut_off == 1
        peer.send_signal(signal.SIGCONT)
        assert await link.call(TEXT, "greet", CLAIM, 1, seconds=60) == "hello k "
    await link.close()


async def test_a_listener_asks_another_peer_where_one_is_killed_and_leaves_a_stalled_one_to_the_last(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.sock"
    listener = Listener({})
    await listener.start(unix.listen(path))
    kept = Link(path, methods_of(Port, Served()))
    kept.start()
    while not listener.peers:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)

    class Mute(Served):
        async def greet(self, claim: Claim, times: int) -> str:
            await self.wait()
            return ""

    mute = Link(path, methods_of(Port, Mute()))
    mute.start()
    while len(listener.peers) < 2:  # noqa: ASYNC110 - it tells nobody
        await asyncio.sleep(0.01)
    with pytest.raises(Refused):
        await listener.call(TEXT, "greet", CLAIM, 1, seconds=0.05)
    assert await listener.call(TEXT, "greet", CLAIM, 1) == "hello k "

    listener.peers.reverse()
    asked = asyncio.create_task(listener.call(TEXT, "greet", CLAIM, 1, seconds=60))
    await asyncio.sleep(0)
    await mute.close()
    assert await asked == "hello k "
    await kept.close()
    await listener.close()


async def test_paths_longer_than_an_address_are_bound_and_found(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 100) / ("e" * 100) / "a.sock"
    async with linked(path) as (link, _):
        assert await link.call(TEXT, "greet", CLAIM, 1) == "hello k "
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_bound_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.sock").mkdir()
    with pytest.raises(OSError, match=r"cannot listen on .*a\.sock"):
        unix.listen(tmp_path / "a.sock")


@given(st.lists(st.integers(0, 40), max_size=12))
def test_frames_may_come_in_any_pieces(cuts: list[int]) -> None:
    served: list[Call] = []

    class Recording(Peer):
        def _asked(self, call: Call) -> None:
            served.append(call)

    encoded = [Encoder().encode((0, number, "m", (number,), 1.0)) for number in range(3)]
    stream = b"".join(len(frame).to_bytes(4) + frame for frame in encoded)
    peer = Recording({})
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    for start, end in itertools.pairwise(edges):
        peer.data_received(stream[start:end])
    assert [(call.number, call.method) for call in served] == [(0, "m"), (1, "m"), (2, "m")]


async def test_what_is_too_long_is_refused_where_it_is_made_and_all_else_goes_on(tmp_path: Path) -> None:
    async with linked(tmp_path / "a.sock") as (link, listener):
        long = Claim("rtmp", "127.0.0.1", key="k" * rpc.LONGEST_FRAME)
        with pytest.raises(Refused, match="greet: too long"):
            await link.call(TEXT, "greet", long, 1)
        with pytest.raises(Refused, match="the answer is too long"):
            await link.call(TEXT, "greet", CLAIM, rpc.LONGEST_FRAME)
        (peer,) = listener.peers
        assert await link.call(TEXT, "greet", CLAIM, 1) == "hello k "
        assert listener.peers == [peer]
