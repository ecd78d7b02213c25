"""A connection to a Redis server that is made again whenever it is lost."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisClusterException, RedisError

from realtime.client.backoff import Backoff

log = structlog.get_logger("realtime.broker")

Connect = Callable[[], AbstractConnection]
"""Makes a connection that is not connected yet."""

LOST = (RedisError, RedisClusterException, OSError, TimeoutError)
"""What using a connection raises when it, or its server, is gone or out of order."""
LASTED_SECONDS = 5.0
"""A connection that was lost sooner is made again with growing delays, as one that could not be made."""
PING_SECONDS = 1.0
"""An idle connection is tried so often: a server that hangs is noticed."""


class Line:
    """`use` is called with each new connection, and uses it until it raises one of LOST."""

    def __init__(
        self,
        name: str,
        connect: Connect,
        use: Callable[[AbstractConnection], Awaitable[None]],
        lost: Callable[[], None],
        seconds: float,
    ):
        """`lost` is called whenever the connection has gone, or could not be made within so many `seconds`."""
        self._name = name
        self._connect = connect
        self._use = use
        self._lost = lost
        self._seconds = seconds
        self._said = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(random.random, base=0.05, cap=1.0)
        while True:
            began = loop.time()
            connection = self._connect()
            try:
                async with asyncio.timeout(self._seconds):
                    await connection.connect()  # type: ignore[no-untyped-call]  # the library's own
                if self._said:
                    log.info("redis_back", line=self._name)
                self._said = False
                await self._use(connection)
            except LOST as error:
                if not self._said:
                    log.warning("redis_lost", line=self._name, error=str(error) or type(error).__name__)
                self._said = True
            except Exception:
                log.exception("redis_failed", line=self._name)
            finally:
                await _hang_up(connection)
            self._lost()
            if loop.time() > began + LASTED_SECONDS:
                backoff.reset()
            await asyncio.sleep(backoff.next())


async def _hang_up(connection: AbstractConnection) -> None:
    """As far as that needs the other side, within what connecting may take."""
    try:
        await connection.disconnect()
    except LOST as error:
        log.debug("redis_not_hung_up", error=str(error))
