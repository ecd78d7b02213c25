"""A peer as a process of its own, to be stalled and killed: `python -m tests.relay.rpc_support SOCKET`."""

import asyncio
import sys
from pathlib import Path
from typing import Protocol

from msgspec.msgpack import Decoder

from relay import unix
from relay.ports import Claim, Refused
from relay.rpc import methods_of
from relay.rpc_links import Listener

TEXT = Decoder(str)


class Port(Protocol):
    async def greet(self, claim: Claim, times: int) -> str: ...

    async def refuse(self, code: str) -> None: ...

    async def fail(self) -> None: ...

    async def wait(self) -> None: ...


class Served:
    def __init__(self) -> None:
        self.given_up = asyncio.Event()

    async def greet(self, claim: Claim, times: int) -> str:
        return f"hello {claim.key} " * times

    async def refuse(self, code: str) -> None:
        raise Refused(code, "not so", 700)

    async def fail(self) -> None:
        raise ValueError("a secret")

    async def wait(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()


async def main(path: Path) -> None:
    await Listener(methods_of(Port, Served())).start(unix.listen(path))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
