"""Several real nodes: `galaxy-live serve` so many times, on one PostgreSQL and one Redis, behind nginx."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.network import Host
from tests.support.nginx import Nginx
from tests.support.postgres import PostgresServer
from tests.support.postgres_store import migrated
from tests.support.redis import RedisServer
from tests.support.server import SECRET, ServerProcess

NODES = 3


class Cluster:
    """`url` is nginx's, `nodes` are the servers.

    With `apart` each node is on a host of its own (`hosts`), which only root can make: what it exchanges with Redis
    goes over a link that can be cut. `environments` has a node's own variables, one mapping a node.
    """

    def __init__(
        self,
        folder: Path,
        database: PostgresServer,
        settings: Mapping[str, str] | None = None,
        *,
        dev: bool = False,
        apart: bool = False,
        environments: Sequence[Mapping[str, str]] = ({},) * NODES,
    ):
        self.database = database
        self.hosts = [Host() for _ in environments] if apart else []
        self.redis = RedisServer(also=[host.gateway for host in self.hosts])
        self.nodes: list[ServerProcess] = []
        url = database.url(migrated(database))
        for number, environment in enumerate(environments):
            data = folder / f"node-{number}"
            data.mkdir()
            host = self.hosts[number] if apart else None
            broker = f"redis://{host.gateway if host else '127.0.0.1'}:{self.redis.port}/0"
            shared = {"GALAXY_AUTH__SECRET": SECRET, "GALAXY_STORE__URL": url, "GALAXY_BROKER__URL": broker}
            self.nodes.append(
                ServerProcess(
                    data,
                    {**shared, **(settings or {}), **environment},
                    dev=dev,
                    host=host.address if host else "127.0.0.1",
                    within=host.within if host else (),
                )
            )
        self._nginx: Nginx | None = None
        self._stack = ExitStack()

    @property
    def url(self) -> str:
        assert self._nginx is not None
        return self._nginx.url

    def kill(self) -> None:
        """All nodes."""
        for node in self.nodes:
            node.kill()

    def start(self) -> None:
        for node in self.nodes:
            node.start()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for host in self.hosts:
                stack.enter_context(host)
            stack.enter_context(self.redis)
            for node in self.nodes:
                stack.enter_context(node)
            self._nginx = stack.enter_context(Nginx(node.url.removeprefix("http://") for node in self.nodes))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
