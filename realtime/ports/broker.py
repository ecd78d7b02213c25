"""Fan-out between nodes."""

from collections.abc import Sequence
from typing import Protocol
from zlib import crc32

from realtime.ports.carried import Carried

USER_TOPICS = 256
"""Users share this many topics, by a hash of their ids: who is online on a node changes all the time, a node's
subscriptions for them do not.
"""
NODES = "nodes"
"""The topic that every node follows."""


def room_topic(room: str) -> str:
    return f"room:{room}"


def user_topic(user: str) -> str:
    return f"user:{crc32(user.encode()) % USER_TOPICS}"


class Receiver(Protocol):
    """Who is told what other nodes say. Called on the event loop, never from within `Broker.publish`."""

    def heard(self, node: str, topic: str, messages: Sequence[Carried]) -> None:
        """Another node's messages about a topic, in the order in which it published them, or what is left of them."""

    def missed(self) -> None:
        """The broker works again, or more of it does: what was published before, here or elsewhere, may be lost."""


class Broker(Protocol):
    """Carries what a node says about a topic to the other nodes that follow it; a node does not hear itself.

    *Order, loss*: it may lose, repeat and reorder. Receivers go by `pos` and read what is missing from the store.
    *Slow or gone*: nothing here waits for it or raises. What cannot be sent is dropped and counted; `up` is false until
    it works again, and then `missed` is called.
    """

    @property
    def node(self) -> str:
        """This node's name, another one with each start."""

    @property
    def up(self) -> bool:
        """Whether what is published now is carried, as far as is known, and what others publish is heard."""

    @property
    def waiting(self) -> int:
        """Bytes that wait to be sent."""

    @property
    def dropped(self) -> int:
        """How many messages were dropped, unsent or perhaps unsent."""

    async def open(self, receiver: Receiver) -> None:
        """Begins to carry, as soon as it can."""

    async def close(self) -> None:
        """Sends what waits, if that can be done at once, and hears nothing more. May be called twice."""

    def publish(self, topic: str, message: Carried) -> None: ...

    async def follow(self, topic: str) -> None:
        """Returns when all that is published from then on is heard; at once where the broker is not `up`, and in any
        case within a second.
        """

    def unfollow(self, topic: str) -> None: ...
