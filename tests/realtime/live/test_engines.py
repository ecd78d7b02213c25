"""A gateway's ways to media processes that stop, and start again as others."""

import asyncio
from pathlib import Path
from typing import Protocol

from realtime.live.engines import MediaLink
from relay import unix
from relay.ports import Admitted, Claim
from relay.remote import RemoteGate
from relay.rpc import Counters, methods_of
from relay.rpc_links import Listener
from tests.realtime.live.stage import ROOM, Stage


class Named(Protocol):
    async def name(self) -> str: ...


class Process:
    """A media process that has a publisher from the first: it asks for it before it has said its name."""

    def __init__(self, name: str, claim: Claim):
        self._name, self._claim = name, claim
        self._listener = Listener(methods_of(Named, self))
        self.gate = RemoteGate(self._listener)
        self.admitted: asyncio.Future[Admitted] = asyncio.get_running_loop().create_future()
        self._asking: asyncio.Task[None] | None = None

    async def name(self) -> str:
        self._asking = asyncio.create_task(self._ask())
        await asyncio.sleep(0)  # it has asked
        return self._name

    async def _ask(self) -> None:
        self.admitted.set_result(await self.gate.admit(self._claim))

    async def start(self, path: Path) -> None:
        await self._listener.start(unix.listen(path))

    async def close(self) -> None:
        await self._listener.close()


async def test_a_restarted_process_asks_under_its_own_name(stage: Stage, tmp_path: Path) -> None:
    path, claim = tmp_path / "media.sock", await stage.claim()
    link = MediaLink(path, 0, stage.live, Counters())
    link.link.start()
    try:
        for name in ("first", "second"):
            process = Process(name, claim)
            await process.start(path)
            try:
                async with asyncio.timeout(20):
                    admitted = await process.admitted
                assert await process.gate.may_watch(ROOM, "bob", False)
                assert not await process.gate.may_watch("elsewhere", "bob", False)
            finally:
                await process.close()
            stream = await stage.store.stream(ROOM)
            assert (stream.process, stream.fence) == (name, admitted.fence)
    finally:
        await link.link.close()
