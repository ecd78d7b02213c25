"""What the server tells a client of itself, and holds it to."""

from typing import Any

from msgspec import Struct

from realtime.gateway.session import Limits
from rooms.actors import Actor
from rooms.ids import Millis


class Welcome(Struct, frozen=True):
    """The same for all connections of a process; numbers are those of `[limits]` in the config."""

    session: Limits
    shown: dict[str, int]
    """`welcome.limits`."""
    heartbeat_ms: int
    hello_seconds: int
    rooms: int
    connections_per_user: int
    unsent_bytes: int
    anonymous: bool
    allowed_origins: tuple[str, ...]
    local_only: bool
    """Whether only this machine's own names are served (`--dev`): a foreign page may have its name point here."""

    def said(self, command_id: int | None, session: str, actor: Actor, now: Millis) -> dict[str, Any]:
        """The object `welcome` for a new session of this user; it names the command that it answers, if one did."""
        user: dict[str, Any] = {"id": actor.user, "name": actor.name}
        if actor.avatar:
            user["avatar"] = actor.avatar
        return {
            "type": "welcome",
            **({} if command_id is None else {"id": command_id}),
            "session": session,
            "user": user | {"roles": ["admin"] if actor.admin else []},
            "server_time": now,
            "limits": self.shown,
            "heartbeat_ms": self.heartbeat_ms,
        }
