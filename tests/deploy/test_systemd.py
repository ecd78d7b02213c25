"""The units: what systemd says of them, and that the server lives with what they take away."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from realtime.config import Server
from realtime.gateway.server import CLOSE_SECONDS
from tests.relay.rtc.support import until
from tests.support.live import PATIENCE, creator, encoder
from tests.support.peer import greeted
from tests.support.server import SECRET, token
from tests.support.webrtc import watching

UNITS = Path(__file__).parents[2] / "deploy" / "systemd"
SERVICES = ("galaxy-live.service", "galaxy-live-prune.service")
PROGRAM = "/opt/galaxy-live/.venv/bin/galaxy-live"
EXPOSURE = 1.4
"""Of 10; what is left is that it talks to the network, has the machine's own root directory, and sets priorities."""
PORTS = {f"GALAXY_RELAY__{name}_PORT": "0" for name in ("RTMP", "UDP", "EDGE")}
AS_ROOT_ONLY = {"fchown"}
"""SQLite hands its files to the database's owner, where it may."""


def systemd_analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def unit(name: str) -> dict[str, list[str]]:
    """Key → values, in order, of the section [Service]."""
    settings: dict[str, list[str]] = {}
    service = (UNITS / name).read_text().partition("[Service]\n")[2].partition("\n[")[0]
    for key, value in re.findall(r"^(\w+)=(.*)$", service, re.MULTILINE):
        settings.setdefault(key, []).append(value)
    return settings


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    ours = str(Path(sys.executable).parent / "galaxy-live")
    for path in UNITS.iterdir():
        (tmp_path / path.name).write_text(path.read_text().replace(PROGRAM, ours))
    for path in sorted(tmp_path.iterdir()):
        said = systemd_analyze("verify", "--man=no", path)
        assert (said.returncode, said.stderr) == (0, ""), path.name


@pytest.mark.parametrize("name", SERVICES)
def test_exposure(name: str) -> None:
    said = systemd_analyze("security", "--offline=yes", UNITS / name)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    assert found is not None, said.stderr
    assert float(found[1]) <= EXPOSURE


def test_both_services_are_confined_alike() -> None:
    one, other = (unit(name) for name in SERVICES)
    start = list(one).index("StateDirectory")
    confinement = {key: one[key] for key in list(one)[start:]}
    assert len(confinement) > 20
    assert {key: other.get(key) for key in confinement} == confinement


def test_a_drain_has_the_time_that_it_takes() -> None:
    (stop,) = unit("galaxy-live.service")["TimeoutStopSec"]
    assert int(stop.removesuffix("s")) >= Server().drain_seconds + CLOSE_SECONDS + 10


def calls_allowed(group: str) -> set[str]:
    """The system calls of one of systemd's groups."""
    allowed: set[str] = set()
    for line in systemd_analyze("syscall-filter", group).stdout.splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            allowed |= calls_allowed(name)
        elif not name.startswith("#"):
            allowed.add(name)
    return allowed


@contextmanager
def traced(folder: Path) -> Iterator[str]:
    """A server whose system calls are in `folder/trace` when it has drained."""
    program = [sys.executable, "-m", "realtime.cli", "serve", "--data", str(folder / "data"), "--port", "0"]
    process = subprocess.Popen(
        ["strace", "-f", "-qq", "-o", str(folder / "trace"), *program],
        env=os.environ | {"GALAXY_AUTH__SECRET": SECRET} | PORTS,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            yield next(found[0] for line in process.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        finally:
            os.kill(int((folder / "trace").read_text().split(maxsplit=1)[0]), signal.SIGTERM)
        assert process.wait(30) == 0


@dataclass
class At:
    url: str


async def streamed(url: str) -> None:
    """By RTMP, seen by fMP4 and by WHEP."""
    async with creator(At(url)) as ana:
        with encoder(await ana.address(), b_frames=0):
            await (await ana.shown()).close()
            await ana.poster()
            async with watching(ana, "bob") as (watcher, answer):
                assert answer.status_code == 201, answer.text
                await until(lambda: watcher.frames["video"] and watcher.frames["audio"], PATIENCE)


async def test_the_server_needs_no_more_than_it_may(tmp_path: Path) -> None:
    allowed, denied, more = unit("galaxy-live.service")["SystemCallFilter"]
    may = calls_allowed(allowed).difference(*map(calls_allowed, denied.removeprefix("~").split())) | set(more.split())
    with traced(tmp_path) as url:
        async with greeted(url, token("ann")) as ann:
            room = (await ann.ok("room.create", kind="group", title="Room", visibility="public"))["room"]["id"]
            await ann.ok("room.join", room=room)
            await ann.ok("message.send", room=room, text="hello", key="k1")
            await ann.ok("message.search", room=room, query="hello")
        await streamed(url)
    used = set(re.findall(r"^\d+ +(\w+)\(", (tmp_path / "trace").read_text(), re.MULTILINE))
    assert {"fsync", "listen"} <= used
    assert used - may <= AS_ROOT_ONLY
