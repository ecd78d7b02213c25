"""Who may speak to the server: tokens and tickets become actors, for WebSocket and HTTP alike."""

from realtime import ports
from realtime.auth import Authenticator, BadToken, Identity, KeysUnavailable, Tickets, UnknownKey
from realtime.hosting.service import Service
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from rooms.permissions import authorize

ANONYMOUS = Actor(user="", name="")
"""Who has said no name: may listen to public live rooms, where the config allows it."""


class Admission:
    def __init__(self, authenticator: Authenticator, tickets: Tickets, service: Service, clock: ports.Clock):
        self._authenticator = authenticator
        self._tickets = tickets
        self._service = service
        self._clock = clock

    async def identify(self, token: str) -> Identity:
        """Who bears the token. Raises Rejected(`unauthorized`), or (`unavailable`) while keys cannot be read."""
        try:
            try:
                return self._authenticator.verify(token, self._clock())
            except UnknownKey:
                return await self._authenticator.verify_fresh(token, self._clock())
        except BadToken as error:
            raise Rejected("unauthorized", str(error), field="token") from None
        except KeysUnavailable as error:
            raise Rejected("unavailable", str(error), retry_after_ms=5_000) from None

    async def identify_for_request(self, token: str) -> Identity:
        """As `identify`, and refuses tokens from before the user logged out everywhere; a new name is kept."""
        identity = await self.identify(token)
        await self._service.check_profile(actor_of(identity), identity.issued_ms)
        return identity

    def holder(self, ticket: str, room: str) -> Identity:
        """Who holds a ticket for this room. Raises Rejected(`unauthorized`)."""
        try:
            return self._tickets.verify(ticket, room, self._clock())
        except BadToken as error:
            raise Rejected("unauthorized", str(error), field="ticket") from None

    async def ticket(self, identity: Identity, command: c.TicketCreate) -> str:
        """A ticket for a room that the user may see. Raises Rejected, Unavailable."""
        actor = actor_of(identity)
        host = await self._service.directory.enter(command.room, actor)
        authorize(host.room, actor, command, self._clock())
        return self._tickets.issue(identity, command.room, self._clock())


def actor_of(identity: Identity) -> Actor:
    return Actor(
        user=identity.user,
        name=identity.name,
        avatar=identity.avatar or None,
        admin=identity.admin,
        granted=identity.rooms,
        entitlements=tuple(sorted(identity.entitlements)),
        created=identity.created_ms,
        kyc=identity.kyc,
    )


def bearer(authorization: str | None) -> str | None:
    """The token of an `Authorization: Bearer` header (RFC 6750 section 2.1)."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
