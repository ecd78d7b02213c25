"""Who is listening where, told to each room at most once a second."""

from typing import Any

from realtime.fanout.channel import Channel
from realtime.fanout.hub import Hub


class Presence:
    """Distinct users who listen to a room. Names are told only up to `names` people; counts always."""

    def __init__(self, names: int):
        self._names = names
        self._changed: dict[str, None] = {}

    def changed(self, channel: Channel) -> None:
        self._changed[channel.room] = None

    def snapshot(self, hub: Hub, room: str) -> dict[str, Any]:
        """What `presence.get` answers: `online`, and `names` where they are few enough."""
        channel = hub.channels.get(room)
        online = self.online(hub, room)
        if online > self._names:
            return {"online": online}
        names = {user: those[0].actor.name for user, those in channel.users.items()} if channel else {}
        return {"online": online, "names": _named(names)}

    def named(self, hub: Hub, room: str) -> bool:
        """Whether those who listen are few enough to be told of by name."""
        return self.online(hub, room) <= self._names

    def online(self, hub: Hub, room: str) -> int:
        channel = hub.channels.get(room)
        return len(channel.users) if channel else 0

    def is_online(self, hub: Hub, room: str, user: str) -> bool:
        channel = hub.channels.get(room)
        return channel is not None and user in channel.users

    def announce(self, hub: Hub) -> None:
        """Publishes `presence` in every room whose listeners have changed since the last call."""
        rooms, self._changed = self._changed, {}
        for room in rooms:
            channel = hub.channels.get(room)
            if channel is None:
                continue
            online = len(channel.users)
            arrived, channel.arrived = channel.arrived, {}
            left, channel.left = channel.left, {}
            if not arrived and not left:
                continue
            event: dict[str, Any] = {"type": "presence", "room": room, "online": online}
            if online <= self._names:
                event["joined"] = _named(arrived)
                event["left"] = _named(left)
            hub.publish(room, [event])


def _named(names: dict[str, str]) -> list[dict[str, str]]:
    """Ids and names; viewers without either are only counted."""
    return [{"id": user, "name": names[user]} for user in sorted(names) if user]
