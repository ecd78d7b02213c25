"""The README's examples work as they stand, and its links lead somewhere."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from realtime.client import Client, MessageCreated
from tests.support.server import ServerProcess

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("readme"), dev=True) as server:
        yield server


def run(command: str, server: ServerProcess, token: str = "") -> str:
    """Runs a line of the README in a shell, with this server's address and data in place of the default ones."""
    command = command.replace("http://127.0.0.1:8080", server.url).replace("galaxy-live token", "galaxy-live token $D")
    done = subprocess.run(
        ["bash", "-c", command],
        env=os.environ
        | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GALAXY_TOKEN": token,
            "GALAXY_URL": server.url,
            "D": f"--data {server.data}",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0 or (done.returncode == 28 and "--max-time" in command), done.stderr
    return done.stdout


def token(server: ServerProcess, *more: str) -> str:
    line = re.search(r"`export GALAXY_TOKEN=\$\(\.venv/bin/(galaxy-live token [^)]*)\)`", README)
    assert line is not None
    return run(" ".join((line[1], *more)), server).strip()


async def test_the_bot_answers(server: ServerProcess) -> None:
    (source,) = (block for block in blocks("python") if "async def main" in block)
    program: dict[str, Any] = {}
    exec(source.partition("asyncio.run(")[0], program)  # noqa: S102 - it is our own README
    bot = asyncio.create_task(program["main"](server.url, token(server)))
    try:
        async with (
            Client(server.url, token=token(server, "--user", "ann")) as ann,
            ann.room("g.lobby") as lobby,
            asyncio.timeout(20),
        ):
            await lobby.member_join()
            async for event in lobby.events():
                if event.type == "member.joined" and event.by is not None and event.by.id == "bot":
                    break
                if (await ann.command("presence.get", room="g.lobby"))["online"] == 2:
                    break
            await lobby.send("!ping")
            async for event in lobby.events():
                if isinstance(event, MessageCreated) and event.message is not None and event.message.text == "pong":
                    break
    finally:
        bot.cancel()
        await asyncio.gather(bot, return_exceptions=True)


def test_curl(server: ServerProcess) -> None:
    (lines,) = (block for block in blocks("console") if "curl" in block)
    command, stream = (line.removeprefix("$ ") for line in lines.splitlines())
    assert '"g.lobby"' in run(command, server, token(server))
    assert "event: joined" in run(stream.replace("curl", "curl --max-time 2"), server, token(server))


def test_moderating_from_the_shell(server: ServerProcess) -> None:
    admin = token(server, "--role", "admin")
    lines = re.findall(r"`((?:galaxy-live )?admin \w+ [^`]*)`", README)
    assert len(lines) == 2
    for line in lines:
        run(line if line.startswith("galaxy-live") else f"galaxy-live {line}", server, admin)


def test_the_two_commands_are_the_makefiles() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / link).exists(), link
