"""Names that no name server answers for hold up their own creator's destinations, and nothing else."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address
from typing import Any

import pytest

from relay.push.addresses import NotAllowed, read_networks, resolve
from relay.push.lookups import Lookups, TooMany

LOCAL = read_networks(["127.0.0.0/8", "::1/128"])
PATIENCE = 20.0


class NameServers:
    """Of names that begin with `stuck` nothing is heard until they `answer`."""

    def __init__(self) -> None:
        self._real, self._answers = socket.getaddrinfo, threading.Event()
        self.asked: list[str] = []
        self.at_once = self._now = 0
        self._lock = threading.Lock()

    def __call__(self, host: str, *rest: Any, **more: Any) -> Any:
        with self._lock:
            self.asked.append(host)
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        if host.startswith("stuck"):
            self._answers.wait()
        with self._lock:
            self._now -= 1
        return self._real("localhost", *rest, **more)

    def answer(self) -> None:
        self._answers.set()


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServers]:
    servers = NameServers()
    monkeypatch.setattr(socket, "getaddrinfo", servers)
    monkeypatch.setattr("relay.push.lookups.SECONDS", PATIENCE)
    yield servers
    servers.answer()


async def until_asked(servers: NameServers, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(servers.asked) < count:  # noqa: ASYNC110 - by threads
            await asyncio.sleep(0.01)


async def until_idle(lookups: Lookups) -> None:
    async with asyncio.timeout(PATIENCE):
        while lookups.running:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_names_are_looked_up_and_checked() -> None:
    look_up = partial(Lookups().look_up, "ann")
    with pytest.raises(NotAllowed):
        await resolve("localhost", 1935, (), look_up)
    assert ip_address("127.0.0.1") in await resolve("localhost", 1935, LOCAL, look_up)
    with pytest.raises(OSError, match=r"\[Errno"):
        await resolve("no-such-name.invalid", 1935, LOCAL, look_up)


async def test_addresses_are_not_looked_up(servers: NameServers) -> None:
    look_up = partial(Lookups().look_up, "ann")
    for host in ("127.0.0.1", "::1"):
        assert await resolve(host, 1935, LOCAL, look_up) == [ip_address(host)]
    with pytest.raises(NotAllowed):
        await resolve("10.0.0.1", 1935, LOCAL, look_up)
    assert servers.asked == []


async def test_a_creator_whose_names_are_never_found_holds_up_no_other(servers: NameServers) -> None:
    lookups = Lookups()
    stuck = [asyncio.create_task(lookups.look_up("ann", f"stuck{number}", 1935)) for number in range(100)]
    await until_asked(servers, 1)
    for _ in range(100):
        assert "127.0.0.1" in await lookups.look_up("ben", "found", 1935)
    assert servers.asked.count("found") == 100
    assert not any(one.done() for one in stuck)
    assert servers.at_once == 2, "of each creator one at a time"
    servers.answer()
    assert all("127.0.0.1" in found for found in await asyncio.gather(*stuck))
    assert (lookups.running, lookups.refused) == (0, 0)


async def test_a_name_is_not_waited_for_any_longer_and_keeps_its_place(
    servers: NameServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    lookups = Lookups()
    monkeypatch.setattr("relay.push.lookups.SECONDS", 0.05)
    for name in ("stuck", "another"):
        with pytest.raises(OSError, match=r"its name was not found within 0\.05 s"):
            await lookups.look_up("ann", name, 1935)
    assert (servers.asked, lookups.running) == (["stuck"], 1)
    servers.answer()
    await until_idle(lookups)
    monkeypatch.setattr("relay.push.lookups.SECONDS", PATIENCE)
    assert "127.0.0.1" in await lookups.look_up("ann", "another", 1935)


async def test_where_no_thread_is_free_it_is_said_and_counted(
    servers: NameServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.push.lookups.MOST", 2)
    lookups = Lookups()
    stuck = [asyncio.create_task(lookups.look_up(creator, "stuck", 1935)) for creator in ("ann", "ben")]
    await until_asked(servers, 2)
    with pytest.raises(TooMany, match="too many names are being looked up"):
        await lookups.look_up("cat", "found", 1935)
    assert lookups.refused == 1
    servers.answer()
    await asyncio.gather(*stuck)
    assert "127.0.0.1" in await lookups.look_up("cat", "found", 1935)
