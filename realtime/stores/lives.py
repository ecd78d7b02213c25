"""`realtime.ports.lives.Lives` on SQL databases."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, tuple_, update

from realtime.ports.lives import StoredDestination, StreamKey
from realtime.stores import streams as live_streams
from realtime.stores.schema import destinations, lives, recordings, rooms, stream_keys, streams, upsert
from realtime.stores.transaction import Transaction
from rooms.effects import Recording
from rooms.ids import Millis
from rooms.live import Live, Stream

T = TypeVar("T")

_STREAMS = select(streams, rooms.c.id.label("room_id")).join(rooms, rooms.c.num == streams.c.room)
_KEYS = select(stream_keys, rooms.c.id.label("room_id")).join(rooms, rooms.c.num == stream_keys.c.room)


class SQLLives:
    """The part that follows from `run` and `read` of `realtime.stores.common.SQLStore`."""

    async def run(self, work: Callable[[Transaction], T], *, of: str = "", rooms: Collection[str] = ()) -> T:
        raise NotImplementedError

    async def read(self, work: Callable[[Connection], T]) -> T:
        raise NotImplementedError

    # Streams

    async def stream(self, room: str) -> Stream:
        found = await self.read(partial(_streams, where=rooms.c.id == room))
        return found[0][1] if found else Stream()

    async def live(self, room: str, session: str) -> tuple[Live, bool] | None:
        return await self.read(partial(_live, room=room, session=session))

    async def due_streams(self, now: Millis, limit: int) -> list[tuple[str, Stream]]:
        return await self.read(partial(_streams, where=streams.c.until <= now, limit=limit))

    async def streams_of(self, *, processes: Collection[str] = (), user: str | None = None) -> list[tuple[str, Stream]]:
        whose = streams.c.process.in_(list(processes)) if user is None else streams.c.user == user
        return await self.read(partial(_streams, where=and_(whose, streams.c.state.in_(live_streams.ON))))

    async def beat(self, process: str, fences: Mapping[str, int], until: Millis) -> None:
        num = select(rooms.c.num).where(rooms.c.id == bindparam("beaten")).scalar_subquery()
        flowing = and_(
            streams.c.room == num,
            streams.c.fence == bindparam("newest"),
            streams.c.process == process,
            streams.c.state == "flowing",
        )
        statement = update(streams).where(flowing).values(until=until)
        beaten = [{"beaten": room, "newest": fence} for room, fence in sorted(fences.items())]
        if beaten:
            await self.run(lambda tx: tx.core.execute(statement, beaten), of=f"beat {process}")

    # Stream keys

    async def stream_key(self, room: str, user: str) -> StreamKey | None:
        return await self.read(partial(_key, where=and_(rooms.c.id == room, stream_keys.c.user == user)))

    async def key_holder(self, digest: bytes) -> StreamKey | None:
        return await self.read(partial(_key, where=stream_keys.c.hash == digest))

    async def save_stream_key(self, key: StreamKey) -> bool:
        return await self.run(partial(_save_key, key=key), of=key.room, rooms=(key.room,))

    # Destinations

    async def destinations(self, user: str) -> list[StoredDestination]:
        query = select(destinations).where(destinations.c.user == user).order_by(destinations.c.name)
        rows = await self.read(lambda connection: connection.execute(query).all())
        return [StoredDestination(**row._mapping) for row in rows]

    async def add_destination(self, destination: StoredDestination, most: int) -> bool | None:
        return await self.run(partial(_add_destination, destination=destination, most=most), of=destination.user)

    async def update_destination(self, destination: StoredDestination) -> bool | None:
        return await self.run(partial(_update_destination, destination=destination), of=destination.user)

    async def remove_destination(self, user: str, destination: str) -> bool:
        one = delete(destinations).where(destinations.c.user == user, destinations.c.id == destination)

        def remove(tx: Transaction) -> bool:
            tx.erased = True
            return tx.core.execute(one).rowcount > 0

        return await self.run(remove, of=user)

    # Recordings

    async def add_recording(self, recording: Recording) -> None:
        await self.run(partial(_add_recording, recording=recording), of=recording.room, rooms=(recording.room,))

    async def recording(self, room: str, recording: str) -> Recording | None:
        return await self.read(partial(live_streams.recording, room=room, recording_id=recording))

    async def recordings(
        self, room: str, *, creator: str | None, everything: bool, before: tuple[Millis, str] | None, limit: int
    ) -> list[Recording]:
        r = recordings.c
        own = and_(r.state == "unlisted", r.user == creator) if creator is not None else r.state == "listed"
        shown = r.state != "deleted" if everything else or_(r.state == "listed", own)
        query = live_streams.RECORDED.where(rooms.c.id == room, shown)
        if before is not None:
            query = query.where(tuple_(r.started_at, r.id) < before)
        query = query.order_by(r.started_at.desc(), r.id.desc()).limit(limit)
        rows = await self.read(lambda connection: connection.execute(query).all())
        return [live_streams.recording_of(row) for row in rows]

    async def deleted_recordings(self, node: str, *, after: str, limit: int) -> list[Recording]:
        theirs = and_(recordings.c.node == node, recordings.c.state == "deleted", recordings.c.id > after)
        query = live_streams.RECORDED.where(theirs).order_by(recordings.c.id).limit(limit)
        rows = await self.read(lambda connection: connection.execute(query).all())
        return [live_streams.recording_of(row) for row in rows]

    async def forget_recording(self, room: str, recording: str) -> None:
        num = select(rooms.c.num).where(rooms.c.id == room).scalar_subquery()
        one = delete(recordings).where(recordings.c.room == num, recordings.c.id == recording)
        await self.run(lambda tx: tx.core.execute(one), of=room)


def _streams(connection: Connection, where: Any, limit: int | None = None) -> list[tuple[str, Stream]]:
    query = _STREAMS.where(where).order_by(streams.c.until, streams.c.room).limit(limit)
    return [(row.room_id, live_streams.stream_of(row)) for row in connection.execute(query)]


def _live(connection: Connection, room: str, session: str) -> tuple[Live, bool] | None:
    query = select(lives).join(rooms, rooms.c.num == lives.c.room)
    row = connection.execute(query.where(rooms.c.id == room, lives.c.session == session)).one_or_none()
    return (live_streams.live_of(row), row.taken_down) if row is not None else None


def _key(connection: Connection, where: Any) -> StreamKey | None:
    row = connection.execute(_KEYS.where(where)).one_or_none()
    if row is None:
        return None
    return StreamKey(row.room_id, row.user, row.generation, row.hash, row.granted, row.kyc)


def _save_key(tx: Transaction, key: StreamKey) -> bool:
    head = tx.head(key.room)
    if head is None:
        raise ValueError(f"room {key.room} is not there")
    tx.flush()
    mine = (stream_keys.c.room == head.num) & (stream_keys.c.user == key.user)
    before = tx.core.execute(select(stream_keys.c.generation).where(mine)).scalar_one_or_none()
    if before is not None and before > key.generation:
        return False
    values = msgspec.structs.asdict(key) | {"room": head.num}
    statement = upsert(stream_keys).values(values)
    changed: dict[str, Any] = {name: statement.excluded[name] for name in ("generation", "granted", "kyc")}
    changed["hash"] = func.coalesce(statement.excluded.hash, stream_keys.c.hash)
    tx.core.execute(statement.on_conflict_do_update(index_elements=["room", "user"], set_=changed))
    if before is not None and before < key.generation:
        live_streams.end(tx, head.num, key.user, "key_rotated")
    return True


def _add_destination(tx: Transaction, destination: StoredDestination, most: int) -> bool | None:
    count = select(func.count()).select_from(destinations).where(destinations.c.user == destination.user)
    if tx.core.execute(count).scalar_one() >= most:
        return None
    statement = upsert(destinations).values(msgspec.structs.asdict(destination)).on_conflict_do_nothing()
    return tx.core.execute(statement).rowcount > 0


def _update_destination(tx: Transaction, destination: StoredDestination) -> bool | None:
    tx.erased = True
    one = (destinations.c.user == destination.user) & (destinations.c.id == destination.id)
    namesake = (destinations.c.user == destination.user) & (destinations.c.name == destination.name)
    if tx.core.execute(select(destinations.c.id).where(namesake, destinations.c.id != destination.id)).first():
        return False
    values = {name: getattr(destination, name) for name in ("name", "url", "secret", "enabled")}
    return True if tx.core.execute(update(destinations).where(one).values(values)).rowcount else None


def _add_recording(tx: Transaction, recording: Recording) -> None:
    head = tx.head(recording.room)
    if head is None:
        raise ValueError(f"room {recording.room} is not there")
    query = select(lives.c.taken_down).where(lives.c.room == head.num, lives.c.session == recording.session)
    state = "hidden" if tx.core.execute(query).scalar_one_or_none() else recording.state
    values = msgspec.structs.asdict(recording) | {"room": head.num, "state": state}
    del values["first_pos"], values["last_pos"]
    found = select(recordings.c.id).where(recordings.c.room == head.num, recordings.c.id == recording.id)
    if tx.core.execute(found).first() is None:
        tx.core.execute(insert(recordings).values(values))
