"""A lane: a thread that writes on one connection to PostgreSQL. Whatever waits for it becomes one transaction."""

import time
from contextlib import suppress

import psycopg
from sqlalchemy import Connection

from realtime.ports import Unavailable
from realtime.stores.postgres_driver import PostgresDriver, bounded, raced, unavailable
from realtime.stores.postgres_statements import PostgresStatements
from realtime.stores.transaction import Transaction
from realtime.stores.works import KNOWN_USERS, Job, Works

ATTEMPTS = 5
"""How often a transaction is tried that others come in the way of (deadlocks, serialization failures, races)."""
LEAST = 0.25
"""What part of its time a work must have left to be begun with."""


class Lane(Works):
    """Works of its rooms, in order. Each is done or Unavailable `timeout_ms` after it was submitted.

    A work that raised Unavailable is not in the database, unless its time ran out or the connection was lost during the
    commit: then all of it may be.
    """

    def __init__(self, driver: PostgresDriver, known: set[str], limit: int, timeout_ms: int, name: str):
        super().__init__(limit, name)
        self._driver = driver
        self._known = known  # shared with the other lanes; each call on it is whole in itself
        self._timeout_s = timeout_ms / 1_000
        self._core: Connection | None = None

    # In the thread

    def _end(self) -> None:
        self._drop_connection()

    def _unavailable(self, error: BaseException) -> Unavailable | None:
        return unavailable(error)

    def _commit(self, jobs: list[Job]) -> None:
        """What has waited for too long would take the time of what has not."""
        since = time.monotonic() - self._timeout_s * (1 - LEAST)
        for job in jobs:
            if job.at < since:
                job.error = Unavailable("the store has too much to write")
        timely = [job for job in jobs if job.error is None]
        if timely:
            super()._commit(timely)

    def _write(self, jobs: list[Job]) -> None:
        deadline = min(job.at for job in jobs) + self._timeout_s
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._transact(jobs, deadline)
            except Exception as error:
                if attempt == ATTEMPTS or not raced(error):
                    raise
            else:
                return

    def _transact(self, jobs: list[Job], deadline: float) -> None:
        core, tx = self._begun(jobs, deadline)
        try:
            for job in jobs:
                job.result = job.work(tx)
            with bounded(core).pipeline():  # one turn to the server for all that has been gathered
                tx.finish()
                tx.raw.execute("COMMIT")
        except Exception as error:
            # A server that cannot serve may have been replaced by another.
            gone = unavailable(error) is not None and not raced(error)
            if gone or not self._driver.abandon(core):
                self._drop_connection()
            raise
        self.commits += 1
        if len(self._known) > KNOWN_USERS:
            self._known.clear()
        self._known.update(tx.new_users)

    def _begun(self, jobs: list[Job], deadline: float) -> tuple[Connection, Transaction]:
        """A transaction on the lane's connection; on another one where the server has cut it meanwhile."""
        if self._core is not None:
            with suppress(psycopg.Error):
                return self._core, self._begin(self._core, jobs, deadline)
        self._core = self._driver.connect(deadline)
        return self._core, self._begin(self._core, jobs, deadline)

    def _begin(self, core: Connection, jobs: list[Job], deadline: float) -> Transaction:
        """With all rooms locked that are known beforehand.

        Not in a pipeline: where none of these is, the server counts how long a transaction is idle, so that a node that
        stops here holds the rooms no longer than that.
        """
        try:
            raw = bounded(core, deadline)
            raw.execute("BEGIN")
            tx = Transaction(core, PostgresStatements(raw), self._known)
            tx.look_up(room for job in jobs for room in job.rooms)
        except Exception:
            self._drop_connection()
            raise
        return tx

    def _drop_connection(self) -> None:
        if self._core is not None:
            self._core.invalidate()
            self._core.close()
            self._core = None
