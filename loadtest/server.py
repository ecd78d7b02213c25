"""The server under load: `galaxy-live serve` as a process of its own, and what the system says of it."""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

from loadtest.processes import cpu_seconds, resident_bytes
from loadtest.tokens import token

HOST = "127.0.0.1"
_SETTINGS = {
    "GALAXY_RELAY__PROCESSES": "0",
    "GALAXY_LOG__LEVEL": "warning",
    "GALAXY_LIMITS__COMMANDS_PER_SECOND": "0",
    "GALAXY_LIMITS__JOINS_PER_SECOND": "0",
    "GALAXY_LIMITS__REACTIONS_PER_SECOND": "0",
    "GALAXY_LIMITS__INCOMPLETE_REQUESTS_PER_ADDRESS": "0",
}


class Server:
    """Runs within a `with`: durable log in `data`, default content policy, no limits per second or address."""

    def __init__(self, data: Path):
        self.port = 0
        self.secret = secrets.token_hex(32)
        self._data = data
        self._process: subprocess.Popen[str] | None = None

    def token(self, user: str, name: str) -> str:
        return token(self.secret, user, name)

    def __enter__(self) -> "Server":
        command = [sys.executable, "-m", "realtime.cli", "serve", "--host", HOST, "--port", "0"]
        own = {"GALAXY_AUTH__SECRET": self.secret, "GALAXY_SERVER__DATA": str(self._data)}
        environment = os.environ | _SETTINGS | own
        self._process = subprocess.Popen(  # noqa: S603 - our own server
            command, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        for line in self._process.stdout or ():
            if ready := re.search(rf"http://{HOST}:(\d+)/", line):
                self.port = int(ready[1])
                return self
        with self._process as process:
            raise RuntimeError(f"the server ended with {process.wait()} before it listened")

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        if self._process is not None:
            with self._process as process:
                process.kill()

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("the server has not been started")
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Time on the processor so far, all threads, user and system."""
        return cpu_seconds(self.pid)

    def memory_mib(self) -> float:
        """Resident now."""
        return resident_bytes(self.pid) / 1_048_576
