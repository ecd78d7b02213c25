"""Which Redis server carries which channel: the one there is, or one of a cluster's."""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from redis.asyncio.client import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import ConnectionPool, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import SlotNotCoveredError
from redis.maint_notifications import MaintNotificationsConfig

from realtime.brokers.redis_line import LOST, Connect

CLUSTER = "redis+cluster://"
CLUSTER_TLS = "rediss+cluster://"


class Servers(Protocol):
    sharded: bool
    """Whether each channel is one server's (`SPUBLISH`)."""

    async def find(self) -> Mapping[str, Connect]:
        """The servers that there are now, by name. Raises one of `redis_line.LOST`."""

    def of(self, channel: str) -> str | None:
        """The name of the channel's server, as of the last `find`; None where there is none."""

    async def close(self) -> None: ...


def servers(url: str, seconds: float) -> Servers:
    """By a URL: `redis://`, `rediss://` (TLS), `unix://`, as redis-py reads them, or `redis+cluster://` and
    `rediss+cluster://` with some servers of a cluster: `redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT`.

    Raises ValueError. `seconds` is what connecting, or one question, may take.
    """
    options = _options(seconds)
    if url.startswith((CLUSTER, CLUSTER_TLS)):
        return _Cluster(url, options)
    return _One(url, options)


def client(url: str, seconds: float) -> Redis | RedisCluster:
    """The library's client for the same URLs, whose answers are texts. Raises ValueError."""
    options = _options(seconds) | {"decode_responses": True}
    if not url.startswith((CLUSTER, CLUSTER_TLS)):
        return Redis.from_url(url, **options)
    parsed = [parse_url(seed) for seed in _seeds(url)]
    common: dict[str, Any] = {name: value for name, value in parsed[0].items() if name not in ("host", "port")}
    if common.pop("connection_class", None) is SSLConnection:
        common["ssl"] = True
    nodes = [ClusterNode(one.get("host", "localhost"), one.get("port", 6_379)) for one in parsed]
    return RedisCluster(startup_nodes=nodes, **common, **options)


def _options(seconds: float) -> dict[str, Any]:
    return {
        "protocol": 3,
        "socket_connect_timeout": seconds,
        "socket_timeout": seconds,
        # A lost connection is our affair (`Line`): what was lost with it must be known.
        "retry": Retry(NoBackoff(), 0),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


def _seeds(url: str) -> list[str]:
    """A URL for each server of a cluster that the URL names. Raises ValueError."""
    parts = urlsplit(url)
    login, at, hosts = parts.netloc.rpartition("@")
    scheme = parts.scheme.removesuffix("+cluster")
    seeds = [f"{scheme}://{login}{at}{host}?{parts.query}" for host in hosts.split(",") if host]
    if not seeds:
        raise ValueError("names no server of the cluster")
    for seed in seeds:
        parse_url(seed)
    return seeds


class _One:
    sharded = False

    def __init__(self, url: str, options: dict[str, Any]):
        self._pool = ConnectionPool.from_url(url, **options)
        self._name = urlsplit(url).netloc.rpartition("@")[2] or url

    async def find(self) -> Mapping[str, Connect]:
        return {self._name: self._pool.make_connection}

    def of(self, channel: str) -> str | None:
        return self._name

    async def close(self) -> None:
        await self._pool.aclose()


class _Cluster:
    sharded = True

    def __init__(self, url: str, options: dict[str, Any]):
        self._seeds = _seeds(url)
        self._options = options
        self._cluster: RedisCluster | None = None

    async def find(self) -> Mapping[str, Connect]:
        if self._cluster is not None:
            try:
                await self._cluster.nodes_manager.initialize()
            except LOST:
                await self.close()
        if self._cluster is None:
            self._cluster = await self._first()
        return {node.name: _connect(node) for node in self._cluster.get_primaries()}

    async def _first(self) -> RedisCluster:
        """The cluster, by the first of the seeds that answers."""
        for seed in self._seeds:
            cluster = RedisCluster.from_url(seed, **self._options)
            try:
                return await cluster.initialize()
            except LOST as error:
                await cluster.aclose()
                lost = error
        raise lost

    def of(self, channel: str) -> str | None:
        if self._cluster is None:
            return None
        try:
            node = self._cluster.get_node_from_key(channel)
        except SlotNotCoveredError:
            return None
        return str(node.name) if node is not None else None

    async def close(self) -> None:
        if self._cluster is not None:
            cluster, self._cluster = self._cluster, None
            await cluster.aclose()


def _connect(node: ClusterNode) -> Connect:
    return lambda: node.connection_class(**node.connection_kwargs)
