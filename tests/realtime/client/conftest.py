"""A scripted server, and a client connected to it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from realtime.client import Client
from tests.realtime.client.scripted import Peer, ScriptedServer


@pytest.fixture(autouse=True)
async def no_task_left() -> AsyncIterator[None]:
    """The client leaves no task behind, whatever the test did."""
    before = asyncio.all_tasks()
    yield
    left = {task for task in asyncio.all_tasks() - before if "realtime/client" in str(task.get_coro())}
    assert not left


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


@pytest.fixture
async def me(server: ScriptedServer) -> AsyncIterator[Client]:
    async with Client(server.url, token="t0", backoff_base=0) as me:
        yield me


@pytest.fixture
async def peer(server: ScriptedServer, me: Client) -> Peer:
    return await server.accept()
