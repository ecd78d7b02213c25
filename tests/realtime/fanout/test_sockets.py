"""The hub writing to descriptors: every reader's stream is whole and in order, whatever sockets take, and when."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.fanout import hub as hub_module
from realtime.fanout import turns
from realtime.fanout.hub import Hub
from realtime.fanout.sparing import Sparing
from realtime.gateway.outgoing import Cork
from rooms import events as e
from rooms.actors import By, Role, Viewer
from tests.support.wires import Listening, read, wired

ANN = By("ann", "Ann", "owner")
ROOMS = ["a", "b", "c"]


class Lines:
    """JSON, a line an object."""

    def event(self, event: object, epoch: str) -> bytes:
        return msgspec.json.encode(event) + b"\n"


LINES = Lines()


def said(room: str, pos: int, size: int) -> e.MessageCreated:
    return e.MessageCreated(room=room, pos=pos, at=1, by=ANN, message=e.Body(text="." * size, n=pos, mentions=()))


class Reader:
    """The other end of a wire, and what it must read: a line for each thing that was to reach it, in any order between
    rooms, and in order between what one room and the connection itself wrote.
    """

    def __init__(self, wire: Listening, theirs: socket.socket):
        self.wire = wire
        self.theirs = theirs
        self.stream = b""
        self.told = 0

    def tell(self, **fields: Any) -> None:
        """A reply."""
        self.told += 1
        self.wire.out(msgspec.json.encode({"told": self.told, **fields}) + b"\n")

    def read(self, size: int) -> None:
        self.stream += read(self.theirs, size)

    def check(self) -> None:
        told = 0
        at: dict[str, int] = {}
        for line in self.stream.splitlines():
            seen = msgspec.json.decode(line)
            if "told" in seen:
                assert seen["told"] == told + 1
                told += 1
                if "joined" in seen:
                    at[seen["joined"]] = seen["pos"]
                elif "left" in seen:
                    assert at.pop(seen["left"]) == seen["pos"]
                elif "now" in seen:
                    assert at == seen["now"]
            else:
                assert at[seen["room"]] + 1 == seen["pos"]
                at[seen["room"]] = seen["pos"]
        assert told == self.told


class House:
    def __init__(self) -> None:
        self.cork = Cork()
        self.hub = Hub(0, lambda _: None, lambda _: None, lambda _: None, Sparing(0, 1_000), self.cork.flush)
        self.pos = dict.fromkeys(ROOMS, 0)
        self.readers: list[Reader] = []

    async def come(self, kind: str) -> Reader:
        def make() -> Listening:
            return Listening(self.cork, f"u{len(self.readers)}", LINES, self.hub)

        reader = Reader(*await wired(kind, make))
        self.readers.append(reader)
        return reader

    def join(self, reader: Reader, room: str) -> None:
        if room in reader.wire.rooms:
            return
        channel = self.hub.channel(room, "epoch")
        self.hub.settle(channel, reader.wire)
        reader.wire.rooms.add(room)
        reader.tell(joined=room, pos=self.pos[room])
        self.hub.add(channel, reader.wire, Viewer(reader.wire.user, Role.MEMBER, 1))

    def leave(self, reader: Reader, room: str) -> None:
        if room in reader.wire.rooms:
            reader.wire.rooms.remove(room)
            self.hub.remove(room, reader.wire)
            reader.tell(left=room, pos=self.pos[room])

    def say(self, room: str, size: int) -> None:
        if room in self.hub.channels:
            self.pos[room] += 1
            self.hub.publish(room, [said(room, self.pos[room], size)])

    async def drain(self, reader: Reader) -> None:
        """Reads all that was written to it, and that it ends with everything of its rooms."""
        self.hub.flush_all()
        reader.tell(now={room: self.pos[room] for room in reader.wire.rooms})
        end = b'{"told":%d,' % reader.told
        async with asyncio.timeout(20):
            while end not in reader.stream or not reader.stream.endswith(b"\n"):
                reader.read(1 << 20)
                await asyncio.sleep(0)
        reader.check()

    async def close(self) -> None:
        for reader in self.readers:
            reader.theirs.close()
            reader.wire.transport.abort()
            await reader.wire.lost


def on_uvloop(test: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        house = House()
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        try:
            await test(house)
        finally:
            await house.close()
        assert failures == []

    uvloop.run(run())


@pytest.fixture(autouse=True)
def slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tick is interrupted after each of its listeners, rooms take turns all the time, and none rests."""
    monkeypatch.setattr(hub_module, "SLICE", 1)
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(turns, "SHORT_SECONDS", -1.0)
    monkeypatch.setattr(turns, "REST", 0)


WHO, ROOM = st.integers(0, 3), st.sampled_from(ROOMS)
SIZE = st.sampled_from([1, 300, 5_000, 40_000])
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), ROOM, SIZE),
        st.tuples(st.just("say"), ROOM, SIZE),
        st.tuples(st.just("join"), WHO, ROOM),
        st.tuples(st.just("leave"), WHO, ROOM),
        st.tuples(st.just("tell"), WHO, SIZE),
        st.tuples(st.just("cork"), WHO, SIZE),
        st.tuples(st.just("flush under a cork"), WHO, ROOM),
        st.tuples(st.just("read"), WHO, SIZE),
        st.tuples(st.just("drain"), WHO, ROOM),
        st.tuples(st.just("turn"), st.integers(1, 4), ROOM),
        st.tuples(st.just("flush"), WHO, ROOM),
    ),
    min_size=20,
    max_size=80,
)


@given(actions=ACTIONS)
@settings(max_examples=150, deadline=None)
def test_every_stream_is_whole_and_in_order(actions: list[tuple[str, Any, Any]]) -> None:
    async def play(house: House) -> None:
        for number in range(4):
            reader = await house.come("unix" if number % 2 else "tcp")
            for room in ROOMS[: number + 1]:
                house.join(reader, room)
        for name, one, other in actions:
            match name:
                case "say":
                    house.say(one, other)
                case "join":
                    house.join(house.readers[one], other)
                case "leave":
                    house.leave(house.readers[one], other)
                case "tell":
                    house.readers[one].tell(text="." * other)
                case "cork":
                    with house.cork:
                        house.readers[one].tell(text="." * other)
                        house.readers[0].tell()
                        house.readers[one].tell()
                case "flush under a cork":
                    with house.cork:
                        house.say(other, 100)
                        house.readers[one].tell()
                        if other in house.hub.channels:
                            house.hub.flush(house.hub.channels[other])
                        house.readers[one].tell()
                case "read":
                    house.readers[one].read(other)
                case "drain":
                    await house.drain(house.readers[one])
                case "turn":
                    for _ in range(one):
                        await asyncio.sleep(0)
                case _:
                    house.hub.flush_all()
        for reader in house.readers:
            await house.drain(reader)
            assert reader.wire.clear

    on_uvloop(play)


def test_who_is_clear_is_written_to_by_socket_alone() -> None:
    async def play(house: House) -> None:
        readers = [await house.come("tcp") for _ in range(5)]
        for reader in readers:
            house.join(reader, "a")
        members = next(iter(house.hub.channels["a"].groups.values()))
        assert list(members.sockets) == [reader.wire.socket for reader in readers]
        for reader in readers:
            reader.wire.send = None  # type: ignore[assignment,method-assign]  # calling it would fail
        house.say("a", 10)
        house.hub.flush_all()
        for reader in readers:
            del reader.wire.send
            await house.drain(reader)

    on_uvloop(play)


def test_who_waits_amid_the_ticks_of_several_rooms_and_is_clear_again() -> None:
    async def play(house: House) -> None:
        others = [await house.come("tcp") for _ in range(4)]
        reader = await house.come("unix")
        for room in ROOMS:
            house.join(reader, room)
            for other in others:
                house.join(other, room)
        for room in ROOMS:
            house.say(room, 300)
        channels = [house.hub.channels[room] for room in ROOMS]
        for _ in ROOMS:
            await asyncio.sleep(0)
        assert all(reader.wire.socket in channel.tick[0].sockets for channel in channels)
        reader.tell(text="." * 500_000)
        assert reader.wire.calls == ["waits", "chokes"]
        for channel in channels:
            assert channel.group_of(reader.wire) == (LINES, False, True)
            assert all(reader.wire.socket not in part.sockets for part in channel.tick)
        await house.drain(reader)
        assert reader.wire.calls == ["waits", "chokes", "drained"]
        for channel in channels:
            assert reader.wire.socket in channel.groups[LINES, False, False].sockets
        for other in others:
            await house.drain(other)

    on_uvloop(play)


def test_peers_that_reset_amid_a_tick_end_alone() -> None:
    async def play(house: House) -> None:
        readers = [await house.come("tcp") for _ in range(12)]
        for reader in readers:
            for room in ROOMS:
                house.join(reader, room)
        for room in ROOMS:
            house.say(room, 300)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert any(channel.tick for channel in house.hub.channels.values())
        leaving, staying = readers[::2], readers[1::2]
        for reader in leaving:
            reader.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            reader.theirs.close()
        for room in ROOMS:
            house.say(room, 300)
        house.hub.flush_all()
        for reader in leaving:
            await reader.wire.lost
            assert not any(house.hub.listening(room, reader.wire) for room in ROOMS)
        for room in ROOMS:
            house.say(room, 300)
        for reader in staying:
            await house.drain(reader)

    on_uvloop(play)


def test_a_descriptor_that_is_used_again_gets_nothing_of_who_had_it() -> None:
    async def play(house: House) -> None:
        gone, other = await house.come("tcp"), await house.come("tcp")
        for reader in (gone, other):
            for room in ROOMS:
                house.join(reader, room)
        for room in ROOMS:
            house.say(room, 300)
        await asyncio.sleep(0)
        assert gone.wire.socket is not None
        fd = gone.wire.socket.fileno()
        gone.theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.theirs.close()
        # Either the read that fails or a write that does may be what ends it.
        await gone.wire.lost
        while True:
            try:
                os.fstat(fd)
            except OSError:
                break
            await asyncio.sleep(0)
        ends = [end for _ in range(3) for end in socket.socketpair()]
        numbers = [end.fileno() for end in ends]
        assert fd in numbers
        for end in ends:
            end.setblocking(False)
        for room in ROOMS:
            house.say(room, 300)
        house.hub.flush_all()
        await house.drain(other)
        for end in ends:
            assert read(end) == b""
            end.close()

    on_uvloop(play)
