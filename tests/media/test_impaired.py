"""The impairing relay does what it says: measured by a server that sends back what it gets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.relay.rtc.support import until
from tests.support.impaired import Address, Condition, Impaired

COUNT = 1_000


class Echo(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.transport.sendto(data, addr)


class Client(asyncio.DatagramProtocol):
    """Keeps the numbers that come back, and how long each was away."""

    def __init__(self) -> None:
        self.back: list[int] = []
        self.seconds: list[float] = []
        self.sent: dict[int, float] = {}
        self.loop = asyncio.get_running_loop()

    def datagram_received(self, data: bytes, addr: Address) -> None:
        number = int.from_bytes(data)
        self.back.append(number)
        self.seconds.append(self.loop.time() - self.sent[number])


@asynccontextmanager
async def impaired(condition: Condition, seed: int = 1) -> AsyncIterator[tuple[Impaired, int]]:
    loop = asyncio.get_running_loop()
    server, echo = await loop.create_datagram_endpoint(Echo, ("127.0.0.1", 0))
    echo.transport = server
    port = server.get_extra_info("sockname")[1]
    try:
        async with Impaired(("127.0.0.2", port), ("127.0.0.1", port), condition=condition, seed=seed) as relay:
            yield relay, port
    finally:
        server.close()


async def sent(condition: Condition, seed: int = 1) -> Client:
    """So many datagrams, a millisecond apart, there and back."""
    async with impaired(condition, seed) as (relay, port):
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.2", port))
        for number in range(COUNT):
            client.sent[number] = loop.time()
            transport.sendto(number.to_bytes(2))
            await asyncio.sleep(0.001)
        await until(lambda: len(client.back) + relay.lost + relay.dropped == COUNT and not relay.under_way)
        transport.close()
        return client


async def test_all_of_it_arrives_in_order_where_nothing_is_impaired() -> None:
    assert (await sent(Condition())).back == list(range(COUNT))


async def test_so_much_is_lost_and_by_the_same_seed_the_same() -> None:
    first, again = await asyncio.gather(sent(Condition(loss=0.05)), sent(Condition(loss=0.05)))
    assert 0.80 * COUNT < len(first.back) < 0.98 * COUNT
    assert first.back == again.back == sorted(first.back)
    assert (await sent(Condition(loss=0.05), seed=2)).back != first.back


async def test_delays_reorder_only_when_asked_to() -> None:
    kept, mixed = await asyncio.gather(
        sent(Condition(delay=0.05, jitter=0.02)), sent(Condition(delay=0.05, jitter=0.02, reorders=True))
    )
    assert kept.back == list(range(COUNT))
    assert mixed.back != kept.back
    assert sorted(mixed.back) == kept.back
    assert min(kept.seconds + mixed.seconds) > 0.059


async def test_nothing_arrives_in_a_blackout() -> None:
    async with impaired(Condition(loss=1.0)) as (relay, port):
        loop = asyncio.get_running_loop()
        transport, client = await loop.create_datagram_endpoint(Client, remote_addr=("127.0.0.2", port))
        client.sent = dict.fromkeys(range(2), loop.time())
        transport.sendto(b"\x00\x00")
        await until(lambda: relay.lost == 1)
        relay.condition = Condition()
        transport.sendto(b"\x00\x01")
        await until(lambda: client.back)
        assert client.back == [1]
        transport.close()
