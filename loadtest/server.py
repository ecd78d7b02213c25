"""The server under load: `galaxy-live serve` as a process of its own, and what the system says of it."""

import os
import re
import secrets
import subprocess
import sys
import time
from pathlib import Path

import jwt

HOST = "127.0.0.1"
_TICKS = os.sysconf("SC_CLK_TCK")
_SETTINGS = {
    "GALAXY_LOG__LEVEL": "warning",
    "GALAXY_LIMITS__COMMANDS_PER_SECOND": "0",
    "GALAXY_LIMITS__JOINS_PER_SECOND": "0",
    "GALAXY_LIMITS__REACTIONS_PER_SECOND": "0",
}


class Server:
    """Runs within a `with`: durable log in `data`, default content policy, no limits per second."""

    def __init__(self, data: Path):
        self.port = 0
        self._secret = secrets.token_hex(32)
        self._data = data
        self._process: subprocess.Popen[str] | None = None

    def token(self, user: str, name: str) -> str:
        claims = {"sub": user, "name": name, "iat": int(time.time()), "exp": int(time.time()) + 86_400}
        return jwt.encode(claims, self._secret, "HS256")

    def __enter__(self) -> "Server":
        command = [sys.executable, "-m", "realtime.cli", "serve", "--host", HOST, "--port", "0"]
        own = {"GALAXY_AUTH__SECRET": self._secret, "GALAXY_SERVER__DATA": str(self._data)}
        self._process = subprocess.Popen(command, env=os.environ | _SETTINGS | own, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own server
        for line in self._process.stdout or ():
            if ready := re.search(rf"http://{HOST}:(\d+)/", line):
                self.port = int(ready[1])
                return self
        raise RuntimeError(f"the server ended with {self._process.wait()} before it listened")

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
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0]) / 1_024


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
