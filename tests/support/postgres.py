"""A PostgreSQL server of the tests' own, from Debian's package: durable, on a Unix socket in a temporary folder."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

_SUPERUSER = "postgres"
_NUMBERS = count(1)
_START_SECONDS = 60.0


def _programs() -> Path:
    """Of the newest version that is installed."""
    versions = Path("/usr/lib/postgresql").iterdir()
    return max(versions, key=lambda path: int(path.name)) / "bin"


class PostgresServer:
    """Runs as the user `postgres` where the tests are root, as PostgreSQL refuses to be that."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="galaxy-postgres-"))
        self.data = self.folder / "data"
        self._programs = _programs()
        self._main: subprocess.Popen[bytes] | None = None
        self._as_user: list[str] = []
        if os.getuid() == 0:
            shutil.chown(self.folder, _SUPERUSER, _SUPERUSER)
            self._as_user = ["setpriv", f"--reuid={_SUPERUSER}", f"--regid={_SUPERUSER}", "--clear-groups"]

    def __enter__(self) -> Self:
        self._run("initdb", "-D", self.data, "-U", _SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust").wait()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
        with (self.folder / f"{program}.log").open("ab") as log:
            command = [*self._as_user, self._programs / program, *arguments]
            return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)

    def start(self) -> None:
        """Returns when the server takes connections."""
        settings = ("listen_addresses=", f"unix_socket_directories={self.folder}", "fsync=on", "max_connections=200")
        options = [part for setting in settings for part in ("-c", setting)]
        self._main = self._run("postgres", "-D", self.data, *options)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                return psycopg.connect(self.url()).close()
            except psycopg.OperationalError:
                if self._main.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "postgres.log").read_text()[-2_000:]) from None
            time.sleep(0.02)

    def _processes(self) -> list[int]:
        assert self._main is not None
        pid = self._main.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def kill(self) -> None:
        """All at once, as a machine that loses power; returns when none of them runs."""
        if self._main is None:
            return
        handles: list[int] = []
        for pid in self._processes():
            with suppress(ProcessLookupError):  # it has just ended
                handles.append(os.pidfd_open(pid))
                os.kill(pid, signal.SIGKILL)
        for handle in handles:
            ended = select.poll()
            ended.register(handle, select.POLLIN)
            ended.poll()
            os.close(handle)
        self._main.wait()
        self._main = None

    def stall(self) -> None:
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._processes():
            with suppress(ProcessLookupError):  # what was stopped ends as others go on
                os.kill(pid, signal.SIGCONT)

    # Databases

    def url(self, database: str = _SUPERUSER) -> str:
        return f"postgresql://{_SUPERUSER}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = _SUPERUSER) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def locked(self, statement: str, database: str) -> Iterator[None]:
        """A transaction of somebody else that has run the statement stays open meanwhile."""
        with psycopg.connect(self.url(database)) as connection:
            connection.execute(statement.encode())
            yield

    def new_database(self) -> str:
        """Returns its name."""
        name = f"galaxy_{next(_NUMBERS)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name
