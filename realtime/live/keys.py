"""Stream keys: derived from the server's secret, a room, a user and a generation. Of a key only its hash is kept."""

import base64
import hashlib

from realtime import ports
from realtime.live.secrets import Secrets
from realtime.ports.lives import StreamKey
from rooms.actors import Actor, Role
from rooms.errors import Rejected

_LABEL = b"stream key v1"


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


class Keys:
    def __init__(self, store: ports.Store, secrets: Secrets):
        self._store = store
        self._secrets = secrets

    async def key(self, actor: Actor, room: str, *, rotate: bool) -> str:
        """The user's key for the room; `rotate` makes a new one, and the old one is good for nothing from then on.

        Raises Rejected, Unavailable.
        """
        known = await self._store.stream_key(room, actor.user)
        generation = (known.generation if known is not None else 1) + (rotate and known is not None)
        key = self._derive(room, actor.user, generation)
        kept = StreamKey(room, actor.user, generation, digest(key), granted(actor, room), actor.kyc)
        if kept != known and not await self._store.save_stream_key(kept):
            raise Rejected("unavailable", "The key was just made anew.", retry_after_ms=50)
        return key

    async def note(self, actor: Actor, room: str) -> None:
        """Keeps what the user's token says, for when their publisher is let in. Raises Unavailable."""
        known = await self._store.stream_key(room, actor.user)
        generation = known.generation if known is not None else 1
        kept = StreamKey(room, actor.user, generation, known.hash if known else None, granted(actor, room), actor.kyc)
        if kept != known:
            await self._store.save_stream_key(kept)

    async def holder(self, key: str) -> StreamKey | None:
        """Raises Unavailable."""
        return await self._store.key_holder(digest(key))

    def _derive(self, room: str, user: str, generation: int) -> str:
        secret = self._secrets.derive(_LABEL, room, user, str(generation))
        return base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


def granted(actor: Actor, room: str) -> bool:
    """Whether the token alone makes them an owner."""
    return actor.admin or actor.grant(room) >= Role.OWNER
