"""The connections of one process: who they are, which rooms they follow, and what went wrong for them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from loadtest.client import LOST, Client, Lost, accepted
from loadtest.codec import CODECS, Seen
from loadtest.feed import Place
from loadtest.latency import Deliveries, Latencies
from loadtest.options import Options
from loadtest.orders import Acknowledged, Task
from loadtest.results import Failure, Second
from loadtest.rooms import rooms_of
from loadtest.schedule import share
from loadtest.stream import RoomStream, text_sum
from loadtest.tokens import token

AT_ONCE = 40
"""Connections of one process that are being opened at the same time."""
KEPT = 64_000_000
"""Bytes of all streams together, each its share, beyond which what everybody has received is forgotten."""
RETRY = 0.25
"""Seconds before somebody tries again whom the server has refused without saying when."""


class Crowd:
    """`report` is told every failure as it is found."""

    def __init__(self, task: Task, report: Callable[[Failure], None]):
        self.options: Options = task.options
        self.numbers = share(task.options.connections, task.options.processes, task.index)
        """Of the run's connections, those of this process."""
        self.codec = CODECS[task.options.codec]
        self.rooms: list[str] = []
        self.streams: dict[str, RoomStream] = {}
        self.deliveries = Deliveries()
        self.latencies = {"acknowledgement": Latencies(), "recovery": Latencies()}
        self.acknowledged: dict[str, Acknowledged] = {}
        self.sent_now = 0
        self.acknowledged_now = 0
        self.last_answer = 0
        self.retries = 0
        self.latest: dict[str, int] = {}
        """Each room's latest message that was acknowledged here."""
        self.absent: set[Client] = set()
        """Those who do not read: nobody waits for them, the server may end them, and they may miss what there is."""
        self._task = task
        self._report = report
        self.clients = [self._client(number) for number in self.numbers]

    def _client(self, number: int) -> Client:
        user = f"u{number}"
        return Client(user, token(self._task.secret, user, f"User {number}"), self.codec, self._ended)

    def client(self, number: int) -> Client:
        """By its number in the whole run."""
        return self.clients[number - self.numbers.start]

    # Failures

    def fail(self, kind: str, text: str) -> None:
        self._report(Failure(kind=kind, text=text))

    def _ended(self, client: Client, error: Exception) -> None:
        if client in self.absent:
            return
        self.fail("lost", f"{client.user}: {error}")
        for place in client.feed.places.values():
            place.own_up(at_once=True)
        client.feed.places.clear()

    # Connections

    async def connect(self) -> None:
        """All of them. Raises Lost, OSError."""
        await each(self.clients, self.open)

    async def open(self, client: Client) -> None:
        """Raises Lost, OSError."""
        await client.connect(self._task.host, self._task.port)

    def places(self) -> Iterable[Place]:
        """Of all who are connected and read."""
        for client in self.clients:
            if client.connected and client not in self.absent:
                yield from client.feed.places.values()

    # Rooms

    async def join(self) -> None:
        """All to their rooms. Raises Lost."""
        await each(self.clients, self._enter)

    async def _enter(self, client: Client) -> None:
        number = int(client.user[1:])
        rooms = [self.rooms[i] for i in rooms_of(self.options, number)]
        if self.options.members:
            await asyncio.gather(*(client.ask({"type": "member.join", "room": room}) for room in rooms))
        await self.listen(client, rooms)

    async def listen(self, client: Client, rooms: Iterable[str]) -> None:
        """To each of the rooms, from where the client was in it. Raises Lost, Unavailable."""
        waiting = []
        for room in rooms:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            command: dict[str, object] = {"type": "room.join", "room": room}
            place = client.feed.places.get(room)
            if place is not None:
                command["since"] = {"epoch": place.stream.epoch, "pos": place.reached}
            client.send(command, partial(self._joined, client, command, done))
            waiting.append(done)
        await asyncio.gather(*waiting)

    def _joined(self, client: Client, command: dict[str, object], done: "asyncio.Future[None]", reply: Seen) -> None:
        """Before what came behind the reply is looked at."""
        if done.done():
            return
        if reply.type != "ok":
            if reply.retry or reply.code == LOST:
                done.set_exception(Unavailable(f"{client.user}: {reply.code}: {reply.message}", reply.retry_after_ms))
            else:
                done.set_exception(Lost(f"{client.user}: room.join: {reply.code}: {reply.message}"))
            return
        room, pos = str(command["room"]), reply.pos or 0
        place = client.feed.places.get(room)
        if place is None:
            client.feed.places[room] = Place(self._stream(room, reply), pos, client.user)
        elif reply.recovered:
            place.recover(bytes(reply.events), pos)
        else:
            if client not in self.absent:
                self.fail("lost", f"room {room}: {client.user} was at {place.reached} and was not recovered to {pos}")
            client.feed.places[room] = Place(place.stream, pos, client.user)
        done.set_result(None)

    def _stream(self, room: str, reply: Seen) -> RoomStream:
        stream = self.streams.get(room)
        if stream is None:
            live = self.options.kind == "live"
            stream = RoomStream(room, reply.pos or 0, self.codec, live, self.fail, self.deliveries)
            stream.epoch = reply.epoch
            self.streams[room] = stream
        return stream

    async def come_back(self, client: Client, due: int, until: int) -> None:
        """Connects and recovers, again and again while the server asks to wait; times it from `due` on.

        Raises Lost where that is not done at `until` (both of time.monotonic_ns).
        """
        rooms = list(client.feed.places)
        while True:
            try:
                if not client.connected:
                    await self.open(client)
                await self.listen(client, rooms)
            except (Lost, Unavailable, OSError) as error:
                self.retries += 1
                wait = error.seconds if isinstance(error, Unavailable) else RETRY
                if time.monotonic_ns() + wait * 1e9 > until:
                    raise Lost(f"{client.user} has not come back: {error}") from error
                await asyncio.sleep(wait)
            else:
                self.latencies["recovery"].add(time.monotonic_ns() - due)
                return

    # Messages

    def say(self, client: Client, room: str, text: str, key: str, due: int) -> None:
        """`due` of time.monotonic_ns; 0: not to be timed."""
        self.sent_now += 1
        command = {"type": "message.send", "room": room, "text": text, "key": key}
        client.send(command, partial(self._answered, command, due))

    def _answered(self, command: dict[str, str], due: int, reply: Seen) -> None:
        self.last_answer = time.monotonic_ns()
        if due:
            self.latencies["acknowledgement"].add(self.last_answer - due)
        try:
            accepted(command, reply)
        except Lost as error:
            self.fail("error", f"room {command['room']}: {error}")
            return
        if reply.pos is None:
            self.fail("error", f"room {command['room']}: a message is {'held' if reply.held else 'delayed'}")
            return
        self.acknowledged_now += 1
        found = self.acknowledged.setdefault(command["room"], Acknowledged())
        found.pos = max(found.pos, reply.pos)
        self.latest[command["room"]] = reply.pos
        found.messages += 1
        found.text_sum += text_sum(reply.pos, command["text"])

    # Once a second

    def second(self, at: int) -> Second:
        """What has happened since the last call."""
        for stream in self.streams.values():
            stream.count()
        delivered, skipped, delays = self.deliveries.take()
        latencies = {name: packed for name, those in self.latencies.items() if (packed := those.pack())}
        if delays:
            latencies["delivery"] = delays
        sent, self.sent_now = self.sent_now, 0
        acknowledged, self.acknowledged_now = self.acknowledged_now, 0
        connections = sum(client.connected for client in self.clients)
        return Second(
            at=at, connections=connections, sent=sent, acknowledged=acknowledged,
            delivered=delivered, skipped=skipped, latencies=latencies,
        )  # fmt: skip

    def tidy(self, at_once: bool = False) -> None:
        """Reports holes, and forgets of large streams what everybody has received; after `second`."""
        lowest: dict[str, int] = {}
        most = KEPT // max(len(self.streams), 1)
        for client in self.clients:
            for room, place in client.feed.places.items():
                place.own_up(at_once)
                if len(place.stream.data) > most:
                    lowest[room] = min(lowest.get(room, place.stream.pos), place.reached)
        for stream in self.streams.values():
            stream.resync(at_once)
        for room, pos in lowest.items():
            if cut := self.streams[room].trim(pos):
                for client in self.clients:
                    follower = client.feed.places.get(room)
                    if follower is not None and follower.offset >= 0:
                        follower.offset -= cut


class Unavailable(Exception):
    """The server asks to try again later."""

    def __init__(self, text: str, after_ms: int):
        super().__init__(text)
        self.seconds = after_ms / 1_000 or RETRY


async def each(clients: Iterable[Client], do: Callable[[Client], Awaitable[None]]) -> None:
    """For all of them, some at a time. Raises what the first failure raised, and does not go on then."""
    rest = iter(clients)

    async def run() -> None:
        for client in rest:
            await do(client)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(run())
