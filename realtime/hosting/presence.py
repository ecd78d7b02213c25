"""Who is listening where, told to each room at most once a second."""

from collections.abc import Callable
from typing import Any

from realtime.fanout.hub import Channel, Hub


class Presence:
    """Distinct users who listen to a room. Names are told only up to `names` people; counts always."""

    def __init__(self, names: int, name_of: Callable[[str], str]):
        self._names = names
        self._name_of = name_of
        self._changed: dict[str, None] = {}

    def changed(self, channel: Channel) -> None:
        self._changed[channel.room] = None

    def snapshot(self, hub: Hub, room: str) -> dict[str, Any]:
        """What `presence.get` answers: `online`, and `names` where they are few enough."""
        channel = hub.channels.get(room)
        users = sorted(user for user in channel.users if user) if channel else []
        online = self.online(hub, room)
        if online > self._names:
            return {"online": online}
        return {"online": online, "names": [{"id": user, "name": self._name_of(user)} for user in users]}

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
            arrived, channel.arrived = channel.arrived, set()
            left, channel.left = channel.left, set()
            if not arrived and not left:
                continue
            event: dict[str, Any] = {"type": "presence", "room": room, "online": online}
            if online <= self._names:
                event["joined"] = [{"id": user, "name": self._name_of(user)} for user in sorted(arrived) if user]
                event["left"] = [{"id": user, "name": self._name_of(user)} for user in sorted(left) if user]
            hub.publish(room, [event])
