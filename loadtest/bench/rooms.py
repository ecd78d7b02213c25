"""Many rooms with few subscribers each, a window of messages in flight to rooms by chance: measured, and checked."""

import random
import re
from collections import Counter, deque
from collections.abc import Sequence
from time import perf_counter

from loadtest.bench.crowd import Crowd
from loadtest.bench.timing import Timing
from loadtest.peers.peer import ROOM_NAME, Failed, Message, Peer

VERIFIED = 1_000
"""Messages of a verification."""


def spread(rooms: Sequence[str], each: int) -> list[list[str]]:
    """Which rooms each of as many subscribers as there are rooms subscribes to: `each` of them, so that every room has
    `each` subscribers too. The same in every run.
    """
    chance = random.Random(1)  # noqa: S311 - no secret
    shifts = chance.sample(range(len(rooms)), each)
    return [[rooms[(i + shift) % len(rooms)] for shift in shifts] for i in range(len(rooms))]


def room_marks(peer: Peer) -> re.Pattern[bytes]:
    """Finds the rooms of all messages in what a subscriber received, whatever frames it came in."""
    field = rb'","room":"' if peer.codec.text else rb"\xa4room" + bytes((0xA0 | ROOM_NAME,))
    return re.compile(rb"message\.created" + field + rb"(.{%d})" % ROOM_NAME, re.DOTALL)


class Rooms:
    """`messages` are one of each room, sent over and over; `joined` is what each of the crowd's subscribers is
    subscribed to.
    """

    def __init__(self, crowd: Crowd, messages: list[Message], joined: list[list[str]]):
        self._crowd = crowd
        self._messages = {message.room.encode(): message for message in messages}
        self._frames = {room: crowd.peer.publish(message) for room, message in self._messages.items()}
        self._joined = joined
        self.listeners = len(joined[0])
        self._marks = room_marks(crowd.peer)
        self._ending = crowd.peer.ending(messages[0])
        self._read = {one.fileno(): one.recv_into for one in crowd.subscribers}
        self._cut: dict[int, bytes] = {}
        """What came of a message that has not come whole, by connection."""
        idle = list(self._messages)
        random.Random(2).shuffle(idle)  # noqa: S311 - no secret
        self._idle = deque(idle)
        """Rooms with nothing in flight."""
        self._left: dict[bytes, int] = {}
        """Rooms with a message in flight, and how many subscribers have not received it yet."""
        self._at: dict[bytes, float] = {}

    def measure(self, window: int, timing: Timing) -> None:
        """Sends until it is over, then waits for the rest. Raises Failed for a message that was not sent."""
        crowd, left, at = self._crowd, self._left, self._at
        publisher, view, find = crowd.publisher.fileno(), memoryview(crowd.buffer), self._marks.findall
        self._send(window)
        while left:
            done: list[bytes] = []
            for number, _ in crowd.ready():
                if number == publisher:
                    crowd.publisher_ready()
                    continue
                if not (came := self._read[number](crowd.buffer)):
                    raise crowd.closed()
                for room in find(self._whole(number, bytes(view[:came]))):
                    if room not in left:
                        raise Failed(f"{crowd.peer.title} delivered a message twice, or one that was not sent")
                    left[room] -= 1
                    if not left[room]:
                        del left[room]
                        done.append(room)
            if done:
                now = perf_counter()
                timing.done(now, [(now - at.pop(room), 1) for room in done])
                self._idle += done
                if not timing.over:
                    self._send(len(done))

    def verify(self, window: int) -> None:
        """Sends to many rooms; everything that anybody receives is compared. Raises Failed."""
        crowd, peer = self._crowd, self._crowd.peer
        received = {one.fileno(): b"" for one in crowd.subscribers}
        sent: set[str] = set()
        for _ in range(max(1, min(VERIFIED, len(self._messages)) // window)):
            self._send(window)
            sent |= {room.decode() for room in self._left}
            missing = len(self._left) * self.listeners
            while missing > 0:  # doubles may make it less
                for number, _ in crowd.ready():
                    if number == crowd.publisher.fileno():
                        crowd.publisher_ready()
                        continue
                    came = self._read[number](crowd.buffer)
                    if not came:
                        raise crowd.closed()
                    whole = self._whole(number, bytes(memoryview(crowd.buffer)[:came]))
                    received[number] += whole
                    missing -= len(self._marks.findall(whole))
            self._idle += self._left
            self._left.clear()
            self._at.clear()
        for connection, joined in zip(crowd.subscribers, self._joined, strict=True):
            found = self._parsed(received[connection.fileno()])
            if found != Counter(room for room in joined if room in sent):
                raise Failed(f"{peer.title} delivered other rooms' messages to a subscriber than it was subscribed to")

    def _parsed(self, stream: bytes) -> Counter[str]:
        """The rooms of a subscriber's messages, each compared with what was sent there."""
        peer = self._crowd.peer
        stream = peer.unwrapped(stream)
        rooms: Counter[str] = Counter()
        at = 0
        while (found := peer.next_message(stream, at)) is not None:
            begin, end, at = found
            payload = stream[begin:end]
            if mark := self._marks.search(payload):
                peer.recognise(payload, self._messages[mark[1]])
                rooms[mark[1].decode()] += 1
        if at != len(stream):
            raise Failed(f"{peer.title} left a message unfinished: {stream[at:][:200]!r}")
        return rooms

    def _whole(self, number: int, data: bytes) -> bytes:
        """What came on a connection, once it ends with the end of a message."""
        if self._cut and number in self._cut:
            data = self._cut.pop(number) + data
        if data.endswith(self._ending):
            return data
        self._cut[number] = data
        return b""

    def _send(self, count: int) -> None:
        now = perf_counter()
        rooms = [self._idle.popleft() for _ in range(count)]
        for room in rooms:
            self._left[room] = self.listeners
            self._at[room] = now
        self._crowd.publish(b"".join([self._frames[room] for room in rooms]))
