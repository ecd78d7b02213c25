"""Who is listening where, on all nodes, told to each room at most once a second.

Each node tells the others of its own listeners, whole, whenever they have changed; a room's people are the union. No
node keeps more than the last word of each other one, and of rooms that are loaded.
"""

from typing import Any

from msgspec import Struct

from realtime.fanout.channel import Channel
from realtime.fanout.hub import Hub
from realtime.hosting.across import Across
from realtime.hosting.peers import Peers
from realtime.hosting.totals import Totals
from realtime.ports.carried import Present


class _Elsewhere(Struct):
    """What other nodes have said of a room. `told` are those, with names, and `online` their number, whom this node's
    listeners were last told of; `told` is None where they were too many.
    """

    online: int
    told: dict[str, str] | None
    nodes: dict[str, Present] = {}
    named: dict[str, str] = {}
    """Those of them whom their nodes name."""
    unnamed: int = 0
    """How many others there are on nodes where they are too many to be named."""

    def unite(self) -> None:
        self.named = {user: name for said in self.nodes.values() for user, name in (said.names or {}).items()}
        self.unnamed = sum(said.online for said in self.nodes.values() if said.names is None)

    def besides(self, channel: Channel | None) -> int:
        """How many there are who do not listen here too, as far as is known."""
        here = channel.users if channel is not None else {}
        return self.unnamed + sum(user not in here for user in self.named)


class Presence:
    """Distinct users who listen to a room. Names are told only up to `names` people; counts always.

    Counts are exact where each node has at most `names` listeners. Else who listens on such a node and on another one
    counts twice.
    """

    def __init__(self, names: int, across: Across, peers: Peers, totals: Totals):
        self._names = names
        self._across = across
        self._peers = peers
        self._totals = totals
        self._changed: dict[str, bool] = {}
        """Rooms whose listeners have changed since the last call of `announce` → whether those of this node have."""
        self._elsewhere: dict[str, _Elsewhere] = {}
        self._said = 0
        """The number of the last word to other nodes."""
        self._retell = False

    # Of this node

    def changed(self, channel: Channel) -> None:
        self._changed[channel.room] = True

    def retell(self) -> None:
        """Others may have missed what this node has said of its rooms: all is told again."""
        self._retell = True

    def tell(self, hub: Hub, room: str) -> None:
        """Tells other nodes who listens here."""
        self._said += 1
        channel = hub.channels.get(room)
        users = channel.users if channel is not None else {}
        names = {user: those[0].actor.name for user, those in users.items()} if len(users) <= self._names else None
        self._across.present(room, Present(self._said, len(users), names))

    # Of others

    def heard(self, hub: Hub, node: str, room: str, said: Present) -> None:
        """What another node says of a room that is loaded, or being loaded, here."""
        others = self._elsewhere.get(room)
        if others is None:
            others = self._elsewhere[room] = self._alone(hub.channels.get(room))
        before = others.nodes.get(node)
        if before is None or before.number < said.number:
            others.nodes[node] = said
            self._elsewhere_changed(room, others)

    def retold(self, node: str, since: int) -> None:
        """The node has said all that it has to say after its word of that number: elsewhere nobody listens there."""
        for room, others in self._elsewhere.items():
            said = others.nodes.get(node)
            if said is not None and said.number <= since:
                others.nodes[node] = Present(since, 0, {})
                self._elsewhere_changed(room, others)

    def lost(self, node: str) -> None:
        """The node has gone, or is cut off: whoever listens there is not online as far as this one knows."""
        for room, others in self._elsewhere.items():
            if others.nodes.pop(node, None) is not None:
                self._elsewhere_changed(room, others)

    def forget(self, room: str) -> None:
        """The room is not followed any more."""
        self._elsewhere.pop(room, None)

    def _elsewhere_changed(self, room: str, others: _Elsewhere) -> None:
        others.unite()
        self._changed.setdefault(room, False)

    def _alone(self, channel: Channel | None) -> _Elsewhere:
        """Before anything is heard of other nodes, whom the room was last told of are those of this one."""
        if channel is None:
            return _Elsewhere(0, {})
        online = len(channel.users) - len(channel.arrived) + len(channel.left)
        if online > self._names:
            return _Elsewhere(online, None)
        told = {user: those[0].actor.name for user, those in channel.users.items() if user not in channel.arrived}
        return _Elsewhere(online, told | channel.left)

    # Of all

    def online(self, hub: Hub, room: str) -> int:
        channel, others = hub.channels.get(room), self._elsewhere.get(room)
        return (len(channel.users) if channel else 0) + (others.besides(channel) if others else 0)

    def named(self, hub: Hub, room: str) -> bool:
        """Whether those who listen are few enough to be told of by name."""
        return self.online(hub, room) <= self._names

    def is_online(self, hub: Hub, room: str, user: str) -> bool:
        """Whether the user is known to listen: of nodes where too many do to be named, nothing is known."""
        channel, others = hub.channels.get(room), self._elsewhere.get(room)
        return (channel is not None and user in channel.users) or (others is not None and user in others.named)

    def snapshot(self, hub: Hub, room: str) -> dict[str, Any]:
        """What `presence.get` answers: `online`, and `names` where they are few enough."""
        online = self.online(hub, room)
        names = self._all(hub, room, online)
        return {"online": online} | ({"names": _shown(names)} if names is not None else {})

    def _all(self, hub: Hub, room: str, online: int) -> dict[str, str] | None:
        """Everybody who listens, with names; None where they are too many."""
        channel, others = hub.channels.get(room), self._elsewhere.get(room)
        if online > self._names or (others is not None and others.unnamed):
            return None
        here = {user: those[0].actor.name for user, those in channel.users.items()} if channel is not None else {}
        return here if others is None else others.named | here

    def announce(self, hub: Hub) -> None:
        """Publishes `presence` in every room whose listeners have changed since the last call, and tells other nodes of
        those that have changed here.
        """
        self._tell_changed(hub)
        rooms, self._changed = self._changed, {}
        for room in rooms:
            channel, others = hub.channels.get(room), self._elsewhere.get(room)
            if others is not None:
                self._announce_union(hub, room, others)
            elif channel is not None:
                self._announce_own(hub, channel)

    def _tell_changed(self, hub: Hub) -> None:
        if self._across.lost():
            self._retell = True
            self._across.ask_who_everywhere()
        changed = [room for room, here in self._changed.items() if here]
        for room in changed:
            channel = hub.channels.get(room)
            self._totals.listeners(room, len(channel.users) if channel is not None else 0)
        retell, since = self._retell and self._across.up, self._said
        if not self._peers:
            return  # Who comes is told all.
        for room in hub.channels if retell else changed:
            self.tell(hub, room)
        if retell:
            self._retell = False
            self._across.retold(since)

    def _announce_own(self, hub: Hub, channel: Channel) -> None:
        """Where nobody listens elsewhere, the channel itself knows who came and went."""
        online = len(channel.users)
        arrived, channel.arrived = channel.arrived, {}
        left, channel.left = channel.left, {}
        if arrived or left:
            self._publish(hub, channel.room, online, arrived, left)

    def _announce_union(self, hub: Hub, room: str, others: _Elsewhere) -> None:
        online = self.online(hub, room)
        before, told = others.told, self._all(hub, room, online)
        joined: dict[str, str] = {}
        left: dict[str, str] = {}
        crowd = before is None or told is None
        if before is not None and told is not None:
            joined = {user: name for user, name in told.items() if user not in before}
            left = {user: name for user, name in before.items() if user not in told}
        # Of a crowd it is not known who was told what meanwhile, by `presence.get` or on joining: all are told again.
        if joined or left or online != others.online or crowd:
            self._publish(hub, room, online, joined, left)
        others.online, others.told = online, told
        channel = hub.channels.get(room)
        if channel is not None:
            channel.arrived, channel.left = {}, {}
            channel.elsewhere = others.besides(channel)
        if not others.nodes:
            del self._elsewhere[room]

    def _publish(self, hub: Hub, room: str, online: int, joined: dict[str, str], left: dict[str, str]) -> None:
        event: dict[str, Any] = {"type": "presence", "room": room, "online": online}
        if online <= self._names:
            event["joined"] = _shown(joined)
            event["left"] = _shown(left)
        hub.publish(room, [event])


def _shown(names: dict[str, str]) -> list[dict[str, str]]:
    """Ids and names; viewers without either are only counted."""
    return [{"id": user, "name": names[user]} for user in sorted(names) if user]
