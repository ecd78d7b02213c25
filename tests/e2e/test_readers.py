"""A recording that is being saved, by a gateway and an edge process: what takes the right away ends it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from realtime.edge.process import assembled
from realtime.gateway.binding import bind
from realtime.gateway.server import running
from relay import unix
from relay.ports import Claim, Recorded
from relay.process import engine_path
from relay.remote import RemoteGate
from relay.rpc import methods_of
from relay.rpc_links import Listener
from tests.realtime.edge.test_edge import now_ms
from tests.realtime.edge.test_readers import FILM, SIZE, Reading, begun, keep
from tests.support.live import Creator, Served, creator
from tests.support.server import config, serving, token

SETTINGS = {"GALAXY_RELAY__PROCESSES": "1"}


class Asked(Protocol):
    async def name(self) -> str: ...


class Media:
    """As much of a media process as it takes to have recorded something."""

    async def name(self) -> str:
        return "one"


async def record(folder: Path, ana: Creator) -> None:
    keep(config(folder, SETTINGS).media_folder / "kept", ana.room)
    listener = Listener(methods_of(Asked, Media()))
    await listener.start(unix.listen(engine_path(config(folder).data / "run", 0)))
    try:
        gate = RemoteGate(listener)
        key = (await ana.command(type="live.key", room=ana.room))["key"]
        admitted = await gate.admit(Claim("rtmp", "192.0.2.1", key=key))
        await gate.flowing(ana.room, admitted.session, admitted.fence)
        await ana.command(type="live.stop", room=ana.room)
        await gate.recorded(Recorded(admitted.session, ana.room, "ana", "kept", 1, 2_000, SIZE, 0, 0, 1))
    finally:
        await listener.close()


@asynccontextmanager
async def saving(server: Served, room: str) -> AsyncIterator[Reading]:
    headers = {"Authorization": f"Bearer {token('bob', name='bob')}"}
    path = f"/v1/rooms/{room}/recordings/kept/{FILM}"
    async with (
        httpx.AsyncClient(base_url=server.url, headers=headers, follow_redirects=True) as bob,
        bob.stream("GET", path) as answer,
    ):
        assert answer.status_code == 200
        yield await begun(answer)


@pytest.mark.parametrize(
    ("command", "user"),
    [
        ({"type": "member.ban", "user": "bob"}, "ana"),
        ({"type": "recording.delete", "recording": "kept"}, "ana"),
        ({"type": "recording.update", "recording": "kept", "listed": False}, "ana"),
        ({"type": "live.takedown"}, "root"),
    ],
)
async def test_saving_a_recording_ends_with_the_right_to(tmp_path: Path, command: dict[str, Any], user: str) -> None:
    headers = {"Authorization": f"Bearer {token(user, name=user, roles=['admin'] if user == 'root' else [])}"}
    chosen = config(tmp_path, SETTINGS)
    async with (
        asyncio.timeout(60),
        assembled(chosen, 0, now_ms) as edge,
        running(edge.server, bind("127.0.0.1", 0)) as edge_server,
        serving(tmp_path, SETTINGS | {"GALAXY_RELAY__EDGE_PORT": str(edge_server.port)}) as server,
        creator(server) as ana,
    ):
        await record(tmp_path, ana)
        async with saving(server, ana.room) as bob, httpx.AsyncClient(base_url=server.url, headers=headers) as who:
            assert (await who.post("/v1/commands", json=command | {"room": ana.room})).status_code == 200
            with pytest.raises(httpx.ReadError):
                await bob.rest()
            assert bob.got < SIZE
