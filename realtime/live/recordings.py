"""Recordings: noted when they are finished, listed, and their files removed once they are deleted."""

import base64
import binascii
from typing import Any

import msgspec
import structlog

from realtime import ports
from realtime.live.reach import Reach
from relay.ports import Recorded, Refused
from rooms import commands as c
from rooms.actors import Actor, Role
from rooms.effects import Recording
from rooms.errors import Rejected
from rooms.ids import SafeInteger

log = structlog.get_logger("realtime.live")

DELETED_TOGETHER = 16


class _Cursor(msgspec.Struct, array_like=True, frozen=True):
    started_at: SafeInteger
    id: c.RecordingId


class Recordings:
    def __init__(self, store: ports.Store):
        self._store = store
        self._tried = ""
        """The last of those whose files were to be removed."""

    async def note(self, recorded: Recorded, node: str) -> bool:
        """Keeps a finished recording, however often it is told. Returns whether its files are to stay: those of a test,
        and of a room that is not there, are not. Raises Unavailable.
        """
        live = await self._store.live(recorded.room, recorded.session)
        if live is None:
            return False
        recording = Recording(
            id=recorded.folder,  # by which edges know it
            room=recorded.room,
            user=recorded.user,
            session=recorded.session,
            title=live[0].title,
            state="listed",
            started_at=recorded.started_at,
            length_ms=recorded.length_ms,
            bytes=recorded.bytes,
            width=recorded.width,
            height=recorded.height,
            parts=recorded.parts,
            folder=recorded.folder,
            node=node,
            first_pos=1,
            last_pos=None,
        )
        await self._store.add_recording(recording)
        return True

    async def playable(self, actor: Actor, role: Role, room: str, recording: str) -> Recording | None:
        """The recording, where who may see the room may watch it. Raises Unavailable."""
        found = await self._store.recording(room, recording)
        if found is None or found.state == "deleted":
            return None
        theirs = found.user == actor.user or role >= Role.OWNER
        return found if found.state == "listed" or (theirs and found.state == "unlisted") or actor.admin else None

    async def listed(self, actor: Actor, role: Role, command: c.RecordingList) -> dict[str, Any]:
        """Raises Rejected, Unavailable."""
        rows = await self._store.recordings(
            command.room,
            creator=actor.user or None,
            everything=role >= Role.OWNER,
            before=_read(command.cursor) if command.cursor else None,
            limit=command.limit + 1,
        )
        more, rows = len(rows) > command.limit, rows[: command.limit]
        reply: dict[str, Any] = {"recordings": [shown(row) for row in rows]}
        return reply | ({"cursor": _write(rows[-1])} if more else {})

    async def remove_deleted(self, node: str, reach: Reach) -> None:
        """Of those on this machine, some at a time. What cannot be removed now is tried again, after all others. Raises
        Unavailable.
        """
        found = await self._store.deleted_recordings(node, after=self._tried, limit=DELETED_TOGETHER)
        self._tried = found[-1].id if len(found) == DELETED_TOGETHER else ""
        for recording in found:
            try:
                await reach.delete(recording.folder)
            except Refused as refused:
                log.warning("recording_not_removed", recording=recording.id, reason=refused.message)
                return
            except OSError as error:
                log.warning("recording_not_removed", recording=recording.id, reason=error.strerror)
                continue
            await self._store.forget_recording(recording.room, recording.id)


def shown(recording: Recording) -> dict[str, Any]:
    """As `recording.list` has it: `first_pos` and `last_pos` lead to what was said meanwhile (`room.events`)."""
    names = ("id", "session", "user", "title", "state", "started_at", "length_ms", "bytes", "width", "height", "parts")
    paths = {name: f"/v1/rooms/{recording.room}/recordings/{recording.id}/{file}" for name, file in _FILES}
    row = {name: getattr(recording, name) for name in (*names, "first_pos")} | paths
    return row | ({"last_pos": recording.last_pos} if recording.last_pos is not None else {})


_FILES = (("hls", "index.m3u8"), ("mp4", "recording.mp4"), ("poster", "poster.webp"))


def _write(recording: Recording) -> str:
    packed = msgspec.msgpack.encode(_Cursor(recording.started_at, recording.id))
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def _read(text: str) -> tuple[int, str]:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        cursor = msgspec.msgpack.decode(base64.b64decode(padded, altchars=b"-_", validate=True), type=_Cursor)
    except (binascii.Error, UnicodeEncodeError, msgspec.DecodeError) as error:
        raise Rejected("bad_request", "This cursor is none of ours.", field="cursor") from error
    return cursor.started_at, cursor.id
