"""A whole media process in this one, and a gateway that is connected to it as gateways are."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from realtime.media import settings_of
from relay.ports import Bearer, Gate
from relay.process import Media, engine_path
from relay.remote import RemoteEngine
from relay.rights import Asked
from relay.rpc import methods_of
from relay.rpc_links import Link
from tests.relay.rtc.support import Everybody, publishing, udp, until, watching
from tests.relay.stage import StagedGate
from tests.support.server import config


class Stage:
    def __init__(self, folder: Path):
        settings = settings_of(config(folder, {"GALAXY_RELAY__PROCESSES": "1"}), 0)
        self.media, self.viewers = Media(settings), Everybody()
        methods = {**methods_of(Gate, StagedGate()), **methods_of(Asked, self.viewers)}
        self.link = Link(engine_path(settings.run, 0), methods)
        self.engine = RemoteEngine(self.link)


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    made = Stage(folder)
    await made.media.start([socket.create_server(("127.0.0.1", 0))], udp())
    made.link.start()
    try:
        yield made
    finally:
        await made.media.close()
        await made.link.close()


async def test_viewers_by_webrtc_are_asked_about_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.rights.ASK_AGAIN_SECONDS", 0.01)
    async with stage(tmp_path) as staged:
        rtc = staged.media.rtc
        assert rtc is not None
        async with publishing(rtc, key="room"):
            await until(lambda: (stream := staged.media.streams.get("room")) is not None and stream.video is not None)
            async with watching(rtc) as (bob, _), watching(rtc, Bearer("cid")) as (cid, _):
                await until(lambda: bob.frames["video"] and cid.frames["video"])
                staged.viewers.banned.add("bob")
                await until(lambda: bob.peer.connectionState in ("closed", "failed"))
                assert await staged.engine.watching() == {"room": ["cid"]}
                await staged.engine.remove_viewer("room", "cid")
                await until(lambda: cid.peer.connectionState in ("closed", "failed"))
            assert staged.media.rights.denies("room", Bearer("cid"))
            assert not staged.media.rights.denies("room", Bearer("bob"))
