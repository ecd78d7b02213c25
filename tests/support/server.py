"""The real server for tests: within the test's event loop, or as a process of its own that can be killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import httpx

from loadtest.ports import free_port
from realtime.app import assembled
from realtime.auth import issue
from realtime.config import Config, load
from realtime.gateway.binding import bind
from realtime.gateway.server import GalaxyServer, running

SECRET = "a secret of forty characters, for tests."
NO_LIMITS = {
    "GALAXY_LIMITS__COMMANDS_PER_SECOND": "0",
    "GALAXY_LIMITS__JOINS_PER_SECOND": "0",
    "GALAXY_LIMITS__REACTIONS_PER_SECOND": "0",
    "GALAXY_LIMITS__LIVE_COMMENTS_PER_SECOND": "0",
    "GALAXY_LIMITS__CONNECTIONS_PER_USER": "0",
}


def token(user: str, *, name: str = "", ttl_seconds: int = 3_600, **claims: object) -> str:
    return issue(
        SECRET,
        user,
        now_ms=time.time_ns() // 1_000_000,
        ttl_seconds=ttl_seconds,
        name=name,
        **claims,  # type: ignore[arg-type]  # roles and rooms have types of their own
    )


def config(data: Path, settings: Mapping[str, str] | None = None) -> Config:
    environ = {
        "GALAXY_AUTH__SECRET": SECRET,
        "GALAXY_SERVER__DATA": str(data),
        "GALAXY_SERVER__PORT": "0",
        "GALAXY_SERVER__DRAIN_SECONDS": "2",
        "GALAXY_SERVER__RECONNECT_WITHIN_MS": "0",
        "GALAXY_LOG__LEVEL": "warning",
        "GALAXY_RELAY__PROCESSES": "0",
    }
    return load(None, environ | dict(settings or {}))


class Running:
    """A server in this event loop."""

    def __init__(self, server: GalaxyServer):
        self.server = server
        self.url = f"http://127.0.0.1:{server.port}"


@asynccontextmanager
async def serving(
    data: Path, settings: Mapping[str, str] | None = None, *, dev: bool = False
) -> AsyncIterator[Running]:
    """The whole server, every part real, listening on a free port of the loopback."""
    async with assembled(config(data, settings), dev=dev) as server, running(server, bind("127.0.0.1", 0)):
        yield Running(server)


class ServerProcess:
    """`galaxy-live serve` as a process of its own."""

    def __init__(
        self,
        data: Path,
        settings: Mapping[str, str] | None = None,
        *,
        dev: bool = False,
        host: str = "127.0.0.1",
        within: Sequence[str] = (),
    ):
        """`within` is a command that runs the rest of its line as this process, elsewhere."""
        self.data = data
        self.port = free_port()  # it may be started again: a port that the system chooses could be taken until then
        self.url = f"http://{host}:{self.port}"
        secret = {} if dev else {"GALAXY_AUTH__SECRET": SECRET, "GALAXY_LOG__LEVEL": "warning"}
        self._settings = {"GALAXY_RELAY__PROCESSES": "0"} | secret | dict(settings or {})
        self._dev = dev
        self._host = host
        self._within = within
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it, always on the same port; returns when it listens."""
        command = [*self._within, sys.executable, "-m", "realtime.cli", "serve"]
        command += ["--data", str(self.data), "--host", self._host, "--port", str(self.port)]
        self.process = subprocess.Popen(
            command + (["--dev"] if self._dev else []),
            env={**os.environ, **self._settings},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if self.url in line:
                return
        raise RuntimeError(f"the server ended with {self.wait()} before it listened")

    def signal(self, number: signal.Signals) -> int:
        """Sends a signal and waits for the process to end. Returns its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.wait()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def stall(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def wait(self, seconds: float = 30) -> int:
        assert self.process is not None
        with self.process:
            return self.process.wait(seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()


async def opened(server: ServerProcess) -> int:
    """WebSocket connections that it has ever had."""
    async with httpx.AsyncClient() as client:
        shown = (await client.get(f"{server.url}/metrics")).text
    return int(float(re.findall(r"^galaxy_websocket_opened_total (.*)$", shown, re.MULTILINE)[0]))
