"""Connections to PostgreSQL, each with a time by which its server must have answered."""

import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from realtime.ports import Unavailable

T = TypeVar("T")

_OURS = "54"
"""SQLSTATE class of what is too large or too complex for the server, which it calls an operational error too."""
_BROKEN = "XX"
"""SQLSTATE class of what is wrong with the server's files or the server itself."""
_UNAVAILABLE = frozenset({
    "25006",  # read-only: a standby, after a failover
    "42501",  # no privilege
})  # fmt: skip
_RACED = frozenset({
    "40001",  # serialization failure
    "40P01",  # deadlock
    "23505",  # a row that another transaction has written first
})  # fmt: skip


class Stalled(psycopg.OperationalError):
    """The server has not answered in time. What it was asked may yet happen."""


class _Text(StrDumperUnknown):
    """PostgreSQL's text has no NUL. An id or key that holds one is looked up, and kept, as another."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


class BoundedConnection(psycopg.Connection[tuple[Any, ...]]):
    """Raises Stalled where an answer takes beyond `deadline` (of `time.monotonic`); the connection is then of no use.

    libpq itself waits for a server that is there and says nothing for as long as it takes.
    """

    deadline = 0.0

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        try:
            return super().wait(gen, interval, max(0.001, self.deadline - time.monotonic()))
        except psycopg.OperationalError as error:
            if time.monotonic() < self.deadline:
                raise
            raise Stalled("the server has not answered in time") from error


def _connected(conninfo: str, deadline: float) -> BoundedConnection:
    """psycopg's own way waits at least two seconds for each address."""
    server = pq.PGconn.connect_start(conninfo.encode())
    ready = select.POLLIN | select.POLLOUT
    while (status := server.connect_poll()) != pq.PollingStatus.OK:
        if status == pq.PollingStatus.FAILED:
            raise psycopg.OperationalError(server.get_error_message())
        poll = select.poll()
        poll.register(server.socket, select.POLLIN if status == pq.PollingStatus.READING else ready)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1_000):
            server.finish()
            raise Stalled("the server has not answered in time")
    server.nonblocking = 1
    connection = BoundedConnection(server)
    connection.deadline = deadline
    connection.autocommit = True  # transactions are begun by hand
    connection.adapters.register_dumper(str, _Text)
    return connection


class PostgresDriver:
    """`realtime.stores.readers.Driver`, and the writers' too.

    `timeout_ms`: after it the server gives up a statement by itself, and a transaction whose client is gone.
    """

    def __init__(self, url: str, timeout_ms: int):
        self._conninfo = make_conninfo(url, client_encoding="utf8", fallback_application_name="galaxy-live")
        self._timeout_ms = timeout_ms
        self._wanted = threading.local()
        self.engine = create_engine(
            "postgresql+psycopg://", creator=self._create, poolclass=NullPool, use_native_hstore=False
        )

    def connect(self, deadline: float) -> Connection:
        self._wanted.deadline = deadline
        # Else SQLAlchemy forgets how many rows an insertion has changed.
        return self.engine.connect().execution_options(preserve_rowcount=True)

    def _create(self) -> BoundedConnection:
        connection = _connected(self._conninfo, self._wanted.deadline)
        try:
            connection.execute(
                "SELECT set_config(name, value, false) FROM (VALUES ('statement_timeout', %(ms)s), "
                "('idle_in_transaction_session_timeout', %(ms)s), ('tcp_keepalives_idle', %(s)s), "
                "('tcp_keepalives_interval', '1'), ('tcp_keepalives_count', '3')) AS wanted(name, value)",
                {"ms": str(self._timeout_ms), "s": str(max(1, self._timeout_ms // 1_000))},
            )
            # A role or database set up for speed must not make what `append` returned volatile.
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false) "
                "WHERE current_setting('synchronous_commit') = 'off'"
            )
        except psycopg.Error:
            connection.close()
            raise
        return connection

    @contextmanager
    def snapshot(self, connection: Connection, deadline: float) -> Iterator[None]:
        raw = bounded(connection, deadline)
        raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        except BaseException:
            self.abandon(connection)
            raise
        raw.execute("COMMIT")

    def extend(self, connection: Connection, deadline: float) -> None:
        bounded(connection, deadline)

    def abandon(self, connection: Connection) -> bool:
        """Leaves the transaction that has failed. Returns False where the connection is of no further use."""
        if connection.invalidated:  # by SQLAlchemy, which has seen that it is broken
            return False
        raw = bounded(connection)
        if raw.info.transaction_status == pq.TransactionStatus.IDLE:
            return True
        if raw.info.transaction_status not in (pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR):
            return False
        try:
            raw.execute("ROLLBACK")
        except psycopg.Error:
            return False
        return True

    def unavailable(self, error: BaseException) -> Unavailable | None:
        return unavailable(error)


def bounded(connection: Connection, deadline: float | None = None) -> BoundedConnection:
    """The connection beneath; with another deadline, where given."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, BoundedConnection):
        raise TypeError("not a connection of this driver")
    if deadline is not None:
        raw.deadline = deadline
    return raw


def _cause(error: BaseException) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error


def unavailable(error: BaseException) -> Unavailable | None:
    """What to raise for an error that is the server's or the network's; None for one of our own."""
    cause = _cause(error)
    if not isinstance(cause, psycopg.Error):
        return None
    state = cause.sqlstate or ""
    gone = isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) and not state.startswith(_OURS)
    if gone or state in _UNAVAILABLE or state.startswith(_BROKEN):
        return Unavailable(f"the store cannot serve: {str(cause).strip()}")
    return None


def raced(error: BaseException) -> bool:
    """Whether the same work may succeed when it is simply done again."""
    cause = _cause(error)
    return isinstance(cause, psycopg.Error) and cause.sqlstate in _RACED
