"""Three nodes, and between them a broker that loses, repeats and reorders: once it works again, all agree on who is
online, and everybody's list of names, kept up by what was announced, is that of `presence.get`.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.brokers.memory_tallies import MemoryTallies
from realtime.fanout.hub import Hub
from realtime.fanout.sparing import Sparing
from realtime.hosting import following as following_module
from realtime.hosting.across import Across
from realtime.hosting.following import Following
from realtime.hosting.peers import Peers
from realtime.hosting.presence import Presence
from realtime.hosting.totals import Totals
from realtime.ports import Receiver
from realtime.ports.carried import Carried, Present, Who
from rooms.actors import Actor, Role, Viewer

NODES, ROOMS, USERS = range(3), ("r1", "r2"), ("", "ann", "bob")


class Form:
    def event(self, event: object, epoch: str) -> bytes:
        return msgspec.json.encode(event) + b"\n"


FORM = Form()


class Screen:
    """A client that keeps a list of who is online. It listens from when it was given one."""

    connection = None
    unsent = 0
    lagging = False
    form = FORM

    def __init__(self, user: str):
        self.user = user
        self.actor = Actor(user=user, name=user.title())
        self.online = 0
        self.names: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []

    def shows(self, snapshot: Mapping[str, Any]) -> None:
        self.online = snapshot["online"]
        self.names = {one["id"]: one["name"] for one in snapshot.get("names", ())}

    def out(self, frames: bytes) -> None:
        for line in frames.splitlines():
            event = msgspec.json.decode(line)
            self.events.append(event)
            self.online = event["online"]
            self.names |= {one["id"]: one["name"] for one in event.get("joined", ())}
            for one in event.get("left", ()):
                self.names.pop(one["id"], None)

    def expelled(self, room: str, notice: dict[str, Any]) -> None: ...

    def too_slow(self) -> None: ...


class Air:
    """What is on its way, in the order in which it was said: source, sink, topic and message."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.flying: list[tuple[str, str, str, Carried]] = []

    def land(self, number: int, *, again: bool = False) -> None:
        source, sink, topic, message = self.flying[number] if again else self.flying.pop(number)
        node = self.nodes.get(sink)
        if node is not None and topic in node.topics:
            node.receiver.heard(source, topic, (message,))

    def lose(self, number: int) -> None:
        """Either the source knows that it may be lost, or the sink does."""
        source, sink, _, _ = self.flying.pop(number)
        if number % 2 and source in self.nodes:
            self.nodes[source].dropped += 1
        elif sink in self.nodes:
            self.nodes[sink].receiver.missed()


class Node:
    """A node and its broker."""

    up = True
    waiting = 0

    def __init__(self, air: Air, name: str, names: int, clock: Callable[[], float]):
        self.node = name
        self.dropped = 0
        self.topics: set[str] = set()
        self._air = air
        self.across = Across(self)
        self.peers = Peers(clock)
        self.presence = Presence(names, self.across, self.peers, Totals(MemoryTallies(), self.peers))
        self.hub = Hub(0, self.presence.changed, lambda _: None, lambda _: None, Sparing(0, 200))
        around = SimpleNamespace(
            presence=self.presence,
            hub=self.hub,
            directory=SimpleNamespace(hosts={}),
            mending=SimpleNamespace(ask=lambda: None),
        )
        self.following = Following(cast(following_module.Surroundings, around), self, self.across)
        self.following.peers = self.peers
        self.receiver: Receiver = self.following
        self.screens: dict[tuple[str, str], Screen] = {}
        self.loaded: set[str] = set()

    async def open(self, receiver: Receiver) -> None: ...

    async def close(self) -> None: ...

    def publish(self, topic: str, message: Carried) -> None:
        self._air.flying += [(self.node, other, topic, message) for other in self._air.nodes if other != self.node]

    async def follow(self, topic: str) -> None:
        self.topics.add(topic)

    def unfollow(self, topic: str) -> None:
        self.topics.discard(topic)

    async def toggle(self, room: str, user: str) -> None:
        """The user comes to the room or leaves it."""
        screen = self.screens.pop((room, user), None)
        if screen is not None:
            self.hub.remove(room, screen)
            return
        if room not in self.loaded:
            self.loaded.add(room)
            await self.following.begin(room)
        self.tick()  # Who comes and goes between two ticks is not told of.
        screen = self.screens[room, user] = Screen(user)
        self.hub.add(self.hub.channel(room, "epoch"), screen, Viewer(user, Role.MEMBER))
        screen.shows(self.presence.snapshot(self.hub, room))

    def let_go(self, room: str) -> None:
        if room in self.loaded and room not in self.hub.channels:
            self.loaded.discard(room)
            self.following.end(room)

    def tick(self) -> None:
        self.following.look_around()
        self.presence.announce(self.hub)
        self.hub.flush_all()

    def users(self, room: str) -> set[str]:
        return {user for listened, user in self.screens if listened == room}


class World:
    def __init__(self, names: int):
        self.now = 0.0
        self.air = Air()
        self.names = names
        for number in NODES:
            self.air.nodes[f"n{number}"] = node = Node(self.air, f"n{number}", names, lambda: self.now)
            node.topics.add("nodes")

    async def do(self, deed: str, number: int, room: str, user: str) -> None:
        nodes, flying = list(self.air.nodes.values()), self.air.flying
        node, one = nodes[number % len(nodes)], number % len(flying) if flying else None
        match deed:
            case "toggle":
                await node.toggle(room, user)
            case "let go":
                node.let_go(room)
            case "tick":
                node.tick()
            case "time":
                self.now += number / 4
            case "kill" if len(nodes) > 2:
                del self.air.nodes[node.node]
            case "land" if one is not None:
                self.air.land(one)
            case "land all":
                while flying:
                    self.air.land(0)
            case "repeat" if one is not None:
                self.air.land(one, again=True)
            case "lose" if one is not None:
                self.air.lose(one)
            case _:
                pass

    def heal(self) -> None:
        """The broker works, perhaps again; who was killed falls silent."""
        for _ in range(8):
            self.now += 1
            for node in self.air.nodes.values():
                node.tick()
            while self.air.flying:
                self.air.land(0)

    def expected(self, node: Node, room: str) -> tuple[set[str], int]:
        """Those who are named to the node, and how many others there are."""
        rest = [other.users(room) for other in self.air.nodes.values() if other is not node]
        named = node.users(room).union(*(users for users in rest if len(users) <= self.names))
        return named, sum(len(users) for users in rest if len(users) > self.names)


deeds = st.tuples(
    st.sampled_from(
        [*["toggle"] * 4, *["tick"] * 3, *["land"] * 3, *["lose"] * 3, "land all", "repeat", "time", "let go", "kill"]
    ),
    st.integers(0, 30),
    st.sampled_from(ROOMS),
    st.sampled_from(USERS),
)


def rooms_of(world: World) -> Iterator[tuple[Node, str]]:
    for node in world.air.nodes.values():
        for room in node.loaded:
            yield node, room


async def furnished(names: int = 100) -> World:
    """All nodes know each other, and ann listens to r1 on each of them."""
    world = World(names)
    for node in world.air.nodes.values():
        await node.toggle("r1", "ann")
    world.heal()
    return world


def agree(world: World) -> None:
    for node, room in rooms_of(world):
        named, unnamed = world.expected(node, room)
        online = node.presence.online(node.hub, room)
        assert online == len(named) + unnamed
        assert node.presence.named(node.hub, room) == (online <= world.names)
        snapshot = node.presence.snapshot(node.hub, room)
        if online <= world.names:
            assert {one["id"] for one in snapshot["names"]} == named - {""}
        else:
            assert snapshot == {"online": online}
        for (listened, _), screen in node.screens.items():
            if listened == room:
                assert screen.online == online
                if world.names >= len(USERS):
                    assert screen.names == {one["id"]: one["name"] for one in snapshot["names"]}


@given(st.lists(deeds, min_size=25, max_size=100), st.sampled_from([100, 1]))
@settings(max_examples=150, deadline=None)
def test_all_nodes_come_to_agree_whatever_was_lost(history: list[tuple[str, int, str, str]], names: int) -> None:
    async def go() -> None:
        world = await furnished(names)
        for deed in history:
            await world.do(*deed)
        world.heal()
        agree(world)

    asyncio.run(go())


async def test_an_older_word_that_comes_later_is_not_believed() -> None:
    world = await furnished()
    node = world.air.nodes["n0"]
    for _ in range(2):
        await node.toggle("r1", "bob")
        node.tick()
    while world.air.flying:
        world.air.land(-1)
    world.heal()
    agree(world)


def drop(world: World, kind: type[Carried]) -> None:
    """What is on its way of that kind is lost, as its sources know."""
    for source, _, _, message in world.air.flying:
        if isinstance(message, kind):
            world.air.nodes[source].dropped += 1
    world.air.flying = [one for one in world.air.flying if not isinstance(one[3], kind)]


async def test_a_question_that_was_dropped_is_asked_again() -> None:
    world = await furnished()
    n0, n1, _ = world.air.nodes.values()
    await n1.toggle("r2", "bob")
    world.heal()
    await n0.toggle("r2", "ann")
    drop(world, Who)
    world.heal()
    agree(world)


async def test_a_word_that_was_dropped_is_said_again_also_of_rooms_that_are_empty_now() -> None:
    world = await furnished()
    n0, n1, _ = world.air.nodes.values()
    await n0.toggle("r2", "ann")
    await n1.toggle("r2", "bob")
    world.heal()
    await n1.toggle("r2", "bob")
    n1.tick()
    drop(world, Present)
    world.heal()
    agree(world)


async def test_who_listens_on_two_nodes_is_one_and_leaves_with_the_last() -> None:
    world = await furnished()
    n0, n1, n2 = world.air.nodes.values()
    await n2.toggle("r1", "bob")
    world.heal()
    screen = n2.screens["r1", "bob"]
    assert screen.online == 2
    screen.events.clear()
    await n0.toggle("r1", "ann")
    world.heal()
    await n1.toggle("r1", "ann")
    world.heal()
    assert screen.events == []
    await n2.toggle("r1", "ann")
    world.heal()
    assert screen.events == [
        {"type": "presence", "room": "r1", "online": 1, "joined": [], "left": [{"id": "ann", "name": "Ann"}]}
    ]


async def test_a_node_that_goes_takes_its_listeners_along() -> None:
    world = await furnished()
    n0, n1, _ = world.air.nodes.values()
    await n0.toggle("r1", "bob")
    world.heal()
    assert n1.presence.online(n1.hub, "r1") == 2
    n0.across.alive(leaving=True)
    world.air.land(0)
    assert n1.presence.online(n1.hub, "r1") == 1
    del world.air.nodes["n0"]
    world.heal()
    agree(world)


async def test_a_room_crowded_elsewhere_is_crowded_here() -> None:
    world = await furnished(names=2)
    n0, n1, _ = world.air.nodes.values()
    for number in range(5):
        await n0.toggle("r1", f"u{number}")
    world.heal()
    assert n1.hub.channels["r1"].elsewhere == 6
    assert n1.presence.snapshot(n1.hub, "r1") == {"online": 7}
    assert not n1.presence.is_online(n1.hub, "r1", "u1")
    for number in range(5):
        await n0.toggle("r1", f"u{number}")
    world.heal()
    assert n1.hub.channels["r1"].elsewhere == 0


async def test_who_joined_a_crowd_while_others_left_is_told_of_their_number() -> None:
    world = await furnished(names=1)
    n0, n1, _ = world.air.nodes.values()
    await n1.toggle("r1", "bob")
    await n0.toggle("r1", "cem")
    world.heal()
    await n0.toggle("r1", "dee")
    await n0.toggle("r1", "cem")
    world.heal()
    agree(world)


async def test_what_is_known_of_others_goes_with_the_room_and_with_the_last_of_them() -> None:
    world = await furnished()
    n0, n1, n2 = world.air.nodes.values()
    await n0.toggle("r1", "ann")
    n0.let_go("r1")
    assert n0.presence._elsewhere == {}
    for node in (n1, n2):
        del world.air.nodes[node.node]
    await n0.toggle("r1", "ann")
    world.heal()
    assert n0.presence._elsewhere == {}
    assert n0.presence.online(n0.hub, "r1") == 1
