"""Fan-out between processes and machines: Redis or Valkey pub/sub, alone or as a cluster (there sharded pub/sub)."""

import asyncio
import secrets
from collections.abc import Mapping

import msgspec
import structlog

from realtime.brokers.redis_line import LOST, Connect
from realtime.brokers.redis_publisher import Publisher
from realtime.brokers.redis_servers import servers
from realtime.brokers.redis_subscriber import Subscriber
from realtime.ports import Receiver
from realtime.ports.carried import Carried

log = structlog.get_logger("realtime.broker")

FOLLOW_SECONDS = 1.0
LOOK_SECONDS = 0.5
"""While something is amiss with a cluster, it is looked at again after so long."""

_Envelope = tuple[str, list[Carried]]


class RedisBroker:
    """The Broker on Redis. Each topic is a channel, what is published in one turn or while the connection is busy is
    one envelope a channel: MessagePack, the node's name and its messages.

    Two connections a server: one publishes, one hears. Both are tried each second; one that is lost is made again with
    growing delays of up to a second. What was published meanwhile is lost, and `missed` is called.
    """

    def __init__(self, url: str, *, prefix: str, timeout_ms: int):
        """Channels begin with the prefix: several installations may share a Redis. `timeout_ms` is what connecting, or
        a pipeline of messages, may take. Raises ValueError for a URL that cannot be read.
        """
        self.node = secrets.token_hex(8)
        self.undecodable = 0
        """Envelopes that could not be read, as those of a newer version may be. They count as lost."""
        self._prefix = f"{prefix}:"
        self._seconds = timeout_ms / 1_000
        self._servers = servers(url, self._seconds)
        self._links: dict[str, tuple[Publisher, Subscriber]] = {}
        self._topics: dict[str, str | None] = {}
        """What is followed → the server it was last asked of."""
        self._receiver: Receiver | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(_Envelope).decode
        self._own = b"\x92" + self._encode(self.node)
        """How this node's envelopes begin."""
        self._dropped = 0
        self._found = False
        self._look = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    @property
    def up(self) -> bool:
        return self._found and all(publisher.up and subscriber.up for publisher, subscriber in self._links.values())

    @property
    def waiting(self) -> int:
        return sum(publisher.bytes for publisher, _ in self._links.values())

    @property
    def dropped(self) -> int:
        return self._dropped + sum(publisher.dropped for publisher, _ in self._links.values())

    async def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._looking = asyncio.create_task(self._keep_looking(), name="redis servers")

    async def close(self) -> None:
        self._receiver = None
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
            self._looking = None
        for name in list(self._links):
            await self._unlink(name)
        await self._servers.close()

    def publish(self, topic: str, message: Carried) -> None:
        channel = self._prefix + topic
        link = self._links.get(self._servers.of(channel) or "")
        if link is None:
            self._dropped += 1
        else:
            link[0].put(channel, self._encode(message))

    async def follow(self, topic: str) -> None:
        channel = self._prefix + topic
        subscribed = self._ask(channel)
        if subscribed is not None and self.up:
            await asyncio.wait([subscribed], timeout=FOLLOW_SECONDS)

    def unfollow(self, topic: str) -> None:
        channel = self._prefix + topic
        link = self._links.get(self._topics.pop(channel, None) or "")
        if link is not None:
            link[1].drop(channel)

    def _ask(self, channel: str) -> asyncio.Future[None] | None:
        server = self._servers.of(channel)
        link = self._links.get(server or "")
        self._topics[channel] = server if link is not None else None
        return link[1].want(channel) if link is not None else None

    # What is heard

    def _heard(self, channel: str, data: bytes) -> None:
        if data.startswith(self._own) or self._receiver is None:
            return
        try:
            node, messages = self._decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.undecodable += 1
            return
        try:
            self._receiver.heard(node, channel.removeprefix(self._prefix), messages)
        except Exception:
            # Others' rooms are yet to be told of what they hear.
            log.exception("hearing_failed", channel=channel)

    def _resumed(self) -> None:
        if self._receiver is not None:
            self._receiver.missed()

    # Servers

    async def _keep_looking(self) -> None:
        while True:
            self._look.clear()
            try:
                await self._link(await self._servers.find())
            except LOST as error:
                self._found = False
                log.warning("redis_not_found", error=str(error))
                self._look.set()
            except Exception:
                # Whatever it was: who looks no more would follow nothing that moves.
                self._found = False
                log.exception("redis_look_failed")
                self._look.set()
            if not self._servers.sharded and self._found:
                return  # There is one, wherever it goes.
            await self._look.wait()
            await asyncio.sleep(LOOK_SECONDS)

    async def _link(self, found: Mapping[str, Connect]) -> None:
        """Goes over to the servers that there are, each with the topics that are now its own."""
        for name in self._links.keys() - found.keys():
            await self._unlink(name)
        for name in found.keys() - self._links.keys():
            self._links[name] = self._new_link(name, found[name])
        self._found = True
        going = []
        for channel, before in list(self._topics.items()):
            if self._servers.of(channel) != before:
                if before in self._links:
                    self._links[before][1].drop(channel)
                going.append(self._ask(channel))
        for _, subscriber in self._links.values():
            subscriber.ask_again()
        if arriving := [subscribed for subscribed in going if subscribed is not None]:
            await asyncio.wait(arriving, timeout=FOLLOW_SECONDS)
            self._resumed()

    def _new_link(self, name: str, connect: Connect) -> tuple[Publisher, Subscriber]:
        sharded = self._servers.sharded
        publisher = Publisher(
            name,
            connect,
            self.node,
            verb="SPUBLISH" if sharded else "PUBLISH",
            resumed=self._resumed,
            moved=self._look.set,
            lost=self._look.set,
            seconds=self._seconds,
        )
        subscriber = Subscriber(
            name,
            connect,
            sharded=sharded,
            heard=self._heard,
            resumed=self._resumed,
            moved=self._look.set,
            lost=self._look.set,
            seconds=self._seconds,
        )
        publisher.start()
        subscriber.start()
        return publisher, subscriber

    async def _unlink(self, name: str) -> None:
        publisher, subscriber = self._links.pop(name)
        await publisher.stop()
        await subscriber.stop()
        self._dropped += publisher.dropped
