"""Who drains the outbox of a log that several processes share: one at a time."""

from functools import partial

from sqlalchemy import Connection

from realtime.stores.lists import records
from realtime.stores.postgres_driver import PostgresDriver
from realtime.stores.readers import Readers
from rooms.records import Record

IDLE_SECONDS = 30
"""Who has the turn and asks for nothing for so long, as a process that stands still, has lost it."""
_DRAINING = 0x67616C6178790002
"""Key of the advisory lock that is the turn."""


class Turn:
    """Is taken by whoever asks first, on a connection of its own; the server gives it free when that has ended.

    Its end is seen at once where the process died, within about three seconds more than the store's timeout where its
    machine is gone (TCP keepalive), within IDLE_SECONDS where it stands still.
    """

    def __init__(self, driver: PostgresDriver, limit: int, timeout_ms: int):
        self._reader = Readers(driver, 1, limit, timeout_ms)

    async def records(self, limit: int) -> list[tuple[int, Record]]:
        """See `realtime.ports.Store.outbox`. Two reads: a snapshot from before the turn was taken may hold records that
        the one before has just dealt with.
        """
        if not await self._reader.read(_take):
            return []
        return await self._reader.read(partial(_records, limit=limit))

    async def leave(self) -> None:
        await self._reader.read(_leave)

    async def close(self) -> None:
        await self._reader.close()


def _take(connection: Connection) -> bool:
    """Whether this connection has the turn, which it remembers: the server would count how often it was taken."""
    if not _has_turn(connection):
        idle = f"set_config('idle_session_timeout', '{IDLE_SECONDS}s', false)"
        taken = connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_DRAINING}), {idle}")
        connection.info["turn"] = taken.scalar_one()
    return _has_turn(connection)


def _records(connection: Connection, limit: int) -> list[tuple[int, Record]]:
    return records(connection, limit) if _has_turn(connection) else []


def _leave(connection: Connection) -> None:
    if _has_turn(connection):
        connection.info["turn"] = False
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_DRAINING})")


def _has_turn(connection: Connection) -> bool:
    return bool(connection.info.get("turn"))
