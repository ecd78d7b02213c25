"""`relay.ports.Gate` for one media process."""

from typing import Any, Protocol

from realtime import ports
from realtime.live.acting import Acting
from realtime.live.destinations import Destinations
from realtime.live.keys import Keys
from realtime.live.reach import Reach
from realtime.live.recordings import Recordings
from relay.ports import Admitted, Claim, Reason, Recorded, Refused
from rooms.errors import Rejected
from rooms.live import Flowing, Left, Publish, Stream

REPORTS = frozenset({"live.health", "live.destination", "live.warning"})
"""Events that a media process may have told to a creator."""


class Surroundings(Protocol):
    acting: Acting
    destinations: Destinations
    keys: Keys
    recordings: Recordings
    reach: Reach
    record: bool

    def tell(self, user: str, event: dict[str, Any]) -> None:
        """An event for all of the user's connections, on all nodes."""


class Gate:
    """`process` is the media process's name, another one with each start."""

    def __init__(self, around: Surroundings, process: str):
        self._around = around
        self._process = process

    async def admit(self, claim: Claim) -> Admitted:
        """The newest publisher takes the room: an older one elsewhere is told to end before it is heard that this one
        flows.
        """
        try:
            room, user = await self._claimed(claim)
            reply = await self._around.acting.act(
                user, Publish(room=room, node=self._around.reach.node, process=self._process)
            )
            stream: Stream = reply["stream"]
            destinations = () if stream.test else await self._around.destinations.of(user)
        except Rejected as rejected:
            raise _refused(rejected) from rejected
        except ports.Unavailable as error:
            raise _unavailable(error) from error
        return Admitted(
            room=room,
            user=user,
            session=stream.session,
            fence=stream.fence,
            title=stream.title,
            test=stream.test,
            record=self._around.record and not stream.test,
            destinations=destinations,
        )

    async def _claimed(self, claim: Claim) -> tuple[str, str]:
        if not claim.key:
            return claim.room, claim.user
        holder = await self._around.keys.holder(claim.key)
        if holder is None or claim.room not in ("", holder.room):
            raise Rejected("unauthorized", "This stream key is not valid, or not any more.")
        return holder.room, holder.user

    async def flowing(self, room: str, session: str, fence: int) -> None:
        await self._act(room, Flowing(room=room, fence=fence))

    async def left(self, room: str, session: str, fence: int, reason: Reason) -> None:
        await self._act(room, Left(room=room, fence=fence))

    async def _act(self, room: str, command: Flowing | Left) -> None:
        try:
            await self._around.acting.act_on(room, command)
        except Rejected as rejected:
            raise _refused(rejected) from rejected
        except ports.Unavailable as error:
            raise _unavailable(error) from error

    async def recorded(self, recording: Recorded) -> None:
        try:
            kept = await self._around.recordings.note(recording, self._around.reach.node)
        except ports.Unavailable as error:
            raise _unavailable(error) from error
        if not kept:
            await self._around.reach.delete(recording.folder)

    async def report(self, room: str, user: str, event: dict[str, Any]) -> None:
        if event.get("type") in REPORTS:
            self._around.tell(user, event | {"room": room})


def _refused(rejected: Rejected) -> Refused:
    return Refused(rejected.code, rejected.message, rejected.retry_after_ms)


def _unavailable(error: ports.Unavailable) -> Refused:
    return Refused("unavailable", "Try again in a moment.", error.retry_after_ms)
