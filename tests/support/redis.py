"""Redis servers of the tests' own, from Debian's package: one, or a cluster of three."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from loadtest.ports import free_port
from tests.support.certificates import self_signed

_START_SECONDS = 30.0
_SLOTS = 16_384


class RedisServer:
    """`redis-server` on a port of the loopback, without persistence. `password`, and TLS with a certificate of its own,
    where asked for. `also`: more addresses of this machine to listen on, which must be there.
    """

    def __init__(self, *, tls: bool = False, password: str = "", cluster: bool = False, also: Sequence[str] = ()):
        self.folder = Path(tempfile.mkdtemp(prefix="galaxy-redis-"))
        self.port = free_port(10_000) if cluster else free_port()  # a cluster's second port lies so far above
        self._tls = tls
        self._password = password
        self._options = ["--save", "", "--bind", "127.0.0.1", *also, "--dir", str(self.folder)]
        self._options += ["--protected-mode", "no"] if also else []
        if password:
            self._options += ["--requirepass", password]
        if cluster:
            self._options += ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]
        if tls:
            certificate, key = self_signed(self.folder)
            self._options += ["--port", "0", "--tls-port", str(self.port), "--tls-auth-clients", "no"]
            self._options += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        else:
            self._options += ["--port", str(self.port)]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        scheme, query = ("rediss", f"?ssl_ca_certs={self.folder / 'cert.pem'}") if self._tls else ("redis", "")
        login = f":{self._password}@" if self._password else ""
        return f"{scheme}://{login}127.0.0.1:{self.port}/0{query}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def client(self) -> "redis.Redis":
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def start(self) -> None:
        """Returns when the server answers."""
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(["redis-server", *self._options], stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with self.client() as client:
                    client.ping()
                    return
            except (redis.ConnectionError, redis.TimeoutError):
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError((self.folder / "redis.log").read_text()[-2_000:]) from None
            time.sleep(0.01)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stall(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)


class RedisCluster:
    """Three servers that share the slots, without replicas."""

    def __init__(self) -> None:
        self.servers = [RedisServer(cluster=True) for _ in range(3)]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def __enter__(self) -> Self:
        for server in self.servers:
            server.start()
        share = -(-_SLOTS // len(self.servers))
        clients = [server.client() for server in self.servers]
        for number, client in enumerate(clients):
            _run(client, "CLUSTER", "ADDSLOTSRANGE", number * share, min((number + 1) * share, _SLOTS) - 1)
            _run(client, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server in self.servers[1:]:
            _run(clients[0], "CLUSTER", "MEET", "127.0.0.1", server.port)
        deadline = time.monotonic() + _START_SECONDS
        for client in clients:
            while b"cluster_state:ok" not in _info(client) or b"cluster_known_nodes:3" not in _info(client):
                if time.monotonic() > deadline:
                    raise AssertionError(_info(client).decode())
                time.sleep(0.02)
            client.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self.servers:
            server.__exit__(kind, error, trace)

    def move(self, channel: str) -> None:
        """Gives the channel's slot to another server."""
        clients = [server.client() for server in self.servers]
        slot = _run(clients[0], "CLUSTER", "KEYSLOT", channel)
        owner = slot // -(-_SLOTS // len(self.servers))
        target = (owner + 1) % len(self.servers)
        name = _run(clients[target], "CLUSTER", "MYID")
        for client in (clients[target], clients[owner], *clients):
            _run(client, "CLUSTER", "SETSLOT", slot, "NODE", name)
        for client in clients:
            client.close()


def _run(client: "redis.Redis", *command: str | int) -> Any:
    return client.execute_command(*command)  # type: ignore[no-untyped-call]  # the library's own


def _info(client: "redis.Redis") -> bytes:
    answer = _run(client, "CLUSTER INFO")
    if isinstance(answer, bytes):
        return answer
    return "\n".join(f"{key}:{value}" for key, value in answer.items()).encode()
