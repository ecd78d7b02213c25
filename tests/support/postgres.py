"""A PostgreSQL server of the tests' own, from Debian's package: durable, on a Unix socket in a temporary folder."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

_SUPERUSER = "postgres"
_NUMBERS = count(1)


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
        self._as_user: list[str] = []
        if os.getuid() == 0:
            shutil.chown(self.folder, _SUPERUSER, _SUPERUSER)
            self._as_user = ["setpriv", f"--reuid={_SUPERUSER}", f"--regid={_SUPERUSER}", "--clear-groups"]

    def __enter__(self) -> Self:
        self._run("initdb", "-D", self.data, "-U", _SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pid:
            self.resume()
            self._run("pg_ctl", "stop", "-D", self.data, "-m", "immediate", "-w")
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str | Path) -> None:
        # Standard output would be inherited by the server, and its end be waited for.
        with (self.folder / f"{program}.log").open("ab") as log:
            subprocess.run(
                [*self._as_user, self._programs / program, *arguments],
                check=True, stdout=log, stderr=log, cwd=self.folder,
            )  # fmt: skip

    def start(self) -> None:
        """Returns when the server takes connections."""
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=on -c max_connections=200"
        self._run("pg_ctl", "start", "-D", self.data, "-w", "-l", self.folder / "server.log", "-o", options)

    @property
    def pid(self) -> int:
        """Of the main process; 0 where none runs."""
        with suppress(FileNotFoundError):
            return int((self.data / "postmaster.pid").read_text().split()[0])
        return 0

    def _processes(self) -> list[int]:
        pid = self.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def kill(self) -> None:
        """All at once, as a machine that loses power; returns when none of them runs."""
        processes = self._processes()
        handles = [os.pidfd_open(pid) for pid in processes]
        for pid in processes:
            with suppress(ProcessLookupError):  # the main process gone, others end by themselves
                os.kill(pid, signal.SIGKILL)
        for handle in handles:
            ended = select.poll()
            ended.register(handle, select.POLLIN)
            ended.poll()
            os.close(handle)
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def stall(self) -> None:
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self._processes():
            os.kill(pid, signal.SIGCONT)

    # Databases

    def url(self, database: str = _SUPERUSER) -> str:
        return f"postgresql://{_SUPERUSER}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = _SUPERUSER) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        """Returns its name."""
        name = f"galaxy_{next(_NUMBERS)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return name
