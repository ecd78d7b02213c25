"""The scenario against a real server, small."""

import asyncio
import json
from pathlib import Path

import pytest

from loadtest import acknowledge
from loadtest.__main__ import main
from loadtest.client import Client, Lost
from loadtest.server import HOST, Server

SMALL = ["--connections", "20", "--senders", "5", "--rate", "100", "--duration", "1", "--warm-up", "0.2"]


def test_all_is_acknowledged_and_received(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["acknowledge", *SMALL, "--folder", str(tmp_path), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["sent"] == figures["latency"]["count"] == 100
    assert figures["deliveries_per_second"] == pytest.approx(20 * figures["acknowledged_per_second"])
    assert 0 < figures["latency"]["p50"] <= figures["latency"]["most"]
    assert figures["server_mib"] > 10
    assert list(tmp_path.iterdir()) == []


async def test_a_server_that_ends_is_no_figure(tmp_path: Path) -> None:
    plan = acknowledge.Plan(connections=3, senders=1, rate=50, seconds=30, warm_up=0, characters=20)
    with Server(tmp_path) as server:
        clients = await acknowledge._connect(server, 3)
        load = acknowledge.Load(plan, clients, await acknowledge._assemble(clients))
        running = asyncio.create_task(load.run(30))
        while not load.latencies:  # noqa: ASYNC110 - the list tells nobody
            await asyncio.sleep(0.01)
        server.kill()
        with pytest.raises(Lost):
            await running


async def test_a_refused_command_is_lost(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        client = await Client.connect(HOST, server.port, server.token("ann", "Ann"))
        with pytest.raises(Lost, match="not_found"):
            await client.ask({"type": "room.join", "room": "none"})
        client.close()


async def test_a_bad_token_is_lost(tmp_path: Path) -> None:
    with Server(tmp_path) as server, pytest.raises(Lost, match="unauthorized"):
        await Client.connect(HOST, server.port, "none")


def test_more_senders_than_connections_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["acknowledge", "--connections", "2", "--senders", "3"])
    assert "--senders" in capsys.readouterr().err
