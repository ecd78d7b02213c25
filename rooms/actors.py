"""Who acts, and who looks."""

from collections.abc import Mapping
from enum import IntEnum

from msgspec import Struct

from rooms.ids import Millis


class Role(IntEnum):
    """Rank in a room. ADMIN is a platform admin, who is no member but ranks above every owner."""

    NONE = 0
    MEMBER = 1
    MODERATOR = 2
    OWNER = 3
    ADMIN = 4

    @property
    def wire(self) -> str:
        """The name on the wire, where a platform admin acts as an owner does."""
        return WIRE[self]


WIRE = {
    Role.NONE: "none",
    Role.MEMBER: "member",
    Role.MODERATOR: "moderator",
    Role.OWNER: "owner",
    Role.ADMIN: "owner",
}
BY_WIRE = {name: role for role, name in WIRE.items() if role is not Role.ADMIN}


class Actor(Struct, frozen=True, gc=False, kw_only=True):
    """A user as their token describes them. `granted` maps rooms to roles that the app's back end grants."""

    user: str
    name: str
    avatar: str | None = None
    admin: bool = False
    granted: Mapping[str, str] = {}
    entitlements: tuple[str, ...] = ()
    created: Millis | None = None
    kyc: bool = False

    def grant(self, room: str) -> Role:
        return BY_WIRE[self.granted[room]] if room in self.granted else Role.NONE


class By(Struct, frozen=True, gc=False, omit_defaults=True):
    """Who did something, as events and messages show it."""

    id: str
    name: str
    role: str
    avatar: str | None = None


class Viewer(Struct, frozen=True, gc=False):
    """Who looks at a room's log. `from_pos` is the first position whose history this viewer may read."""

    user: str
    role: Role
    from_pos: int = 1

    @property
    def staff(self) -> bool:
        return self.role >= Role.MODERATOR
