"""The ports between gateways and media processes, over `relay.rpc`."""

from typing import Any, Protocol, TypeVar

from msgspec.msgpack import Decoder

from relay.engine import Answer, Running
from relay.ports import Admitted, Bearer, Claim, Destination, Reason, Recorded
from relay.rpc import SECONDS

T = TypeVar("T")

_nothing = Decoder(None)
_admitted = Decoder(Admitted)
_answer = Decoder(Answer)
_watching = Decoder(dict[str, list[str]])
_publishers = Decoder(tuple[Running, ...])
_text = Decoder(str)
_bool = Decoder(bool)


class Asks(Protocol):
    async def call(self, result: Decoder[T], method: str, *arguments: object, seconds: float = SECONDS) -> T:
        """As `relay.rpc.Peer.call`."""


class RemoteGate:
    """`relay.ports.Gate` of another process, which is asked about viewers too."""

    def __init__(self, peer: Asks):
        self._peer = peer

    async def admit(self, claim: Claim) -> Admitted:
        return await self._peer.call(_admitted, "admit", claim)

    async def flowing(self, room: str, session: str, fence: int) -> None:
        await self._peer.call(_nothing, "flowing", room, session, fence)

    async def left(self, room: str, session: str, fence: int, reason: Reason) -> None:
        await self._peer.call(_nothing, "left", room, session, fence, reason)

    async def recorded(self, recording: Recorded) -> None:
        await self._peer.call(_nothing, "recorded", recording)

    async def report(self, room: str, user: str, event: dict[str, Any]) -> None:
        await self._peer.call(_nothing, "report", room, user, event)

    async def may_watch(self, room: str, user: str, granted: bool) -> bool:
        """`relay.rights.Asked.may_watch`."""
        return await self._peer.call(_bool, "may_watch", room, user, granted)


class RemoteEngine:
    """`relay.engine.Engine` of another process."""

    def __init__(self, peer: Asks):
        self._peer = peer

    async def name(self) -> str:
        """Of a process of ours: another one with each start."""
        return await self._peer.call(_text, "name")

    async def whip(self, room: str, user: str, key: str, address: str, offer: str) -> Answer:
        return await self._peer.call(_answer, "whip", room, user, key, address, offer)

    async def whep(self, room: str, viewer: Bearer, address: str, offer: str) -> Answer:
        return await self._peer.call(_answer, "whep", room, viewer, address, offer)

    async def trickle(self, resource: str, etag: str, fragment: str) -> str:
        return await self._peer.call(_text, "trickle", resource, etag, fragment)

    async def hang_up(self, resource: str) -> None:
        await self._peer.call(_nothing, "hang_up", resource)

    async def stop(self, room: str, fence: int, reason: Reason) -> None:
        await self._peer.call(_nothing, "stop", room, fence, reason)

    async def publishers(self) -> tuple[Running, ...]:
        return await self._peer.call(_publishers, "publishers")

    async def make_public(self, room: str, session: str, record: bool) -> None:
        await self._peer.call(_nothing, "make_public", room, session, record)

    async def remove_viewer(self, room: str, viewer: str) -> None:
        await self._peer.call(_nothing, "remove_viewer", room, viewer)

    async def watching(self) -> dict[str, list[str]]:
        return await self._peer.call(_watching, "watching")

    async def push_to(self, room: str, destinations: tuple[Destination, ...]) -> None:
        await self._peer.call(_nothing, "push_to", room, destinations)
