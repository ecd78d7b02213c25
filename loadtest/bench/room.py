"""One room, a window of messages in flight: measured, and checked.

A message is done when every subscriber has received it; then the next is sent. So a server that is slow is sent
little, and what a server does at once for many messages shows.
"""

import socket
from bisect import bisect_right
from collections import deque
from itertools import cycle, islice
from time import perf_counter

from loadtest.bench.crowd import CHUNK, Crowd
from loadtest.bench.stream import Reference, Unframed
from loadtest.bench.timing import Timing
from loadtest.peers.peer import Failed, Message

DISCARD = socket.MSG_TRUNC
"""On TCP: the kernel throws the bytes away and says how many there were (tcp(7))."""
VERIFIED = 1 << 27
"""Bytes that a verification keeps at most, of all subscribers together."""


class Room:
    """All of the crowd's subscribers in one room. `messages` are sent in order, over and over.

    The first subscriber's stream is read and parsed as it comes; of the others' only the bytes are counted.
    """

    def __init__(self, crowd: Crowd, messages: list[Message]):
        self._crowd = crowd
        self._messages = messages
        self._frames = cycle([crowd.peer.publish(message) for message in messages])
        self._reference = Reference(crowd.peer, messages)
        self._first = crowd.subscribers[0]
        self._read = {one.fileno(): one.recv_into for one in crowd.subscribers[1:]}
        self._unframed = {number: Unframed() for number in self._read}
        self._got = {one.fileno(): 0 for one in crowd.subscribers}
        """Bytes received by each subscriber since the run began."""
        self._sent: deque[tuple[float, int]] = deque()
        """When messages were sent that are not done, and how many at once."""
        self._done = 0

    @property
    def listeners(self) -> int:
        """Of each message."""
        return len(self._got)

    def measure(self, window: int, timing: Timing) -> None:
        """Sends until it is over, then waits for the rest. Raises Failed unless everybody received everything."""
        self._start()
        crowd, got = self._crowd, self._got
        publisher, first = crowd.publisher.fileno(), self._first.fileno()
        discard = crowd.peer.same_bytes
        self._send(window)
        behind, front = len(got), 1
        while self._sent:
            for number, _ in crowd.ready():
                if number == publisher:
                    crowd.publisher_ready()
                    continue
                if number == first:
                    data = self._first.recv(CHUNK)
                    came, size = len(data), self._reference.feed(data)
                elif discard:
                    came = size = self._read[number](crowd.buffer, CHUNK, DISCARD)
                else:
                    came = self._read[number](crowd.buffer)
                    size = self._unframed[number].count(crowd.buffer, came)
                if not came:
                    raise crowd.closed()
                old = got[number]
                got[number] = new = old + size
                if old < front <= new:
                    behind -= 1
            if behind:
                continue
            done, front = self._advance()
            behind = sum(map(front.__gt__, got.values()))
            if done:
                now = perf_counter()
                timing.done(now, self._ended(done, now))
                if not timing.over:
                    self._send(done)
        self._all_the_same()

    def verify(self, window: int) -> None:
        """Sends as many messages as may be in flight, and compares every byte that anybody receives. Raises Failed."""
        size = len(self._messages[0].event) * len(self._got)
        due = self._reference.due
        self._start()
        self._send(max(1, min(window, VERIFIED // size)))
        received = {number: bytearray() for number in self._got}
        while self._sent:
            for number, _ in self._crowd.ready():
                if number == self._crowd.publisher.fileno():
                    self._crowd.publisher_ready()
                else:
                    received[number] += self._kept(number)
            done, _ = self._advance()
            self._ended(done, 0.0)
        self._all_the_same()
        first = received[self._first.fileno()]
        for data in received.values():
            if data != first:
                self._verify_alone(bytes(data), due)

    def _kept(self, number: int) -> bytes:
        """What one subscriber receives, counted as while measuring."""
        crowd = self._crowd
        if number == self._first.fileno():
            data = self._first.recv(CHUNK)
            size = self._reference.feed(data)
        else:
            came = self._read[number](crowd.buffer)
            size = came if crowd.peer.same_bytes else self._unframed[number].count(crowd.buffer, came)
            data = bytes(memoryview(crowd.buffer)[:came])
        if not data:
            raise crowd.closed()
        self._got[number] += size
        return data

    def _verify_alone(self, data: bytes, due: int) -> None:
        """Of a subscriber whose bytes are not the reference's."""
        if self._crowd.peer.same_bytes:
            raise Failed(f"{self._crowd.peer.title} delivered other bytes to one subscriber than to another")
        own = Reference(self._crowd.peer, self._messages, due)
        own.feed(data)
        own.reset()
        if own.due != self._reference.due:
            raise Failed(f"{self._crowd.peer.title} left messages out for one subscriber")

    def _start(self) -> None:
        self._reference.reset()
        for number in self._got:
            self._got[number] = 0
        self._done = 0

    def _send(self, count: int) -> None:
        frames = b"".join(islice(self._frames, count))
        self._sent.append((perf_counter(), count))
        self._crowd.publish(frames)

    def _advance(self) -> tuple[int, int]:
        """How many messages everybody has that somebody had not when last asked, and the byte that everybody is to
        reach before it is worth asking again.
        """
        ends = self._reference.ends
        low = min(self._got.values())
        done = bisect_right(ends, low, self._done)
        newly, self._done = done - self._done, done
        return newly, ends[done] if done < len(ends) else low + 1

    def _ended(self, done: int, now: float) -> list[tuple[float, int]]:
        """Takes so many messages off those in flight; returns how long they took."""
        waits = []
        while done:
            at, count = self._sent.popleft()
            if count > done:
                self._sent.appendleft((at, count - done))
                count = done
            waits.append((now - at, count))
            done -= count
        return waits

    def _all_the_same(self) -> None:
        end = self._reference.ends[-1]
        if wrong := [size for size in self._got.values() if size != end]:
            raise Failed(
                f"{self._crowd.peer.title} delivered {end} bytes to one subscriber and {wrong[0]} to another "
                f"({len(wrong)} of {len(self._got)} differ)"
            )
