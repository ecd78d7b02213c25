"""One room, a window of messages in flight: measured, and checked.

A message is done when every subscriber has received it; then the next is sent. So a server that is slow is sent
little, and what a server does at once for many messages shows.
"""

import socket
from bisect import bisect_right
from collections import deque
from itertools import cycle, islice
from time import perf_counter

from msgspec import Struct

from loadtest.bench_clocks import Clocks
from loadtest.bench_crowd import CHUNK, Crowd
from loadtest.bench_stream import Reference, Unframed
from loadtest.peers.peer import Failed, Message

DISCARD = socket.MSG_TRUNC
"""On TCP: the kernel throws the bytes away and says how many there were (tcp(7))."""
VERIFIED = 1 << 27
"""Bytes that a verification keeps at most, of all subscribers together."""


class Taken(Struct):
    """What one run took, from the end of one message to the end of another."""

    began: float
    """On `time.perf_counter`."""
    seconds: float
    server_cpu: float
    client_cpu: float
    """Seconds of processor time."""
    messages: int
    waits: list[tuple[float, int]]
    """Seconds from sending until the last subscriber had it, and how many messages took that."""


class Room:
    """All of the crowd's subscribers in one room. `messages` are sent in order, over and over."""

    def __init__(self, crowd: Crowd, messages: list[Message]):
        self._crowd = crowd
        self._messages = messages
        self._frames = cycle([crowd.peer.publish(message) for message in messages])
        self._reference = Reference(crowd.peer, messages)
        self._first = crowd.subscribers[0]
        self._read = {one.fileno(): one.recv_into for one in crowd.subscribers[1:]}
        self._got = {one.fileno(): 0 for one in crowd.subscribers}
        """Bytes received by each subscriber since the run began."""
        self._unframed = {number: Unframed() for number in self._read}
        self._done = 0
        self._front = 0
        """The byte that every subscriber is to reach next."""

    def measure(self, window: int, warm_up: float, seconds: float, clocks: Clocks) -> Taken:
        """Sends for so long, then waits until all of it has come. Raises Failed unless everybody got everything."""
        self._start()
        crowd, got = self._crowd, self._got
        publisher, first = crowd.publisher.fileno(), self._first.fileno()
        discard = crowd.peer.same_bytes
        sent: deque[tuple[float, int]] = deque()
        taken = Taken(0.0, 0.0, 0.0, 0.0, 0, [])
        began = perf_counter()
        phase, until = 0, began + warm_up
        self._send(window, sent)
        behind, front = len(got), self._front
        while sent:
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
                    raise Failed(f"{crowd.peer.title} closed a subscriber's connection")
                old = got[number]
                got[number] = new = old + size
                if old < front <= new:
                    behind -= 1
            if behind:
                continue
            if (done := self._advance()) and phase < 2:
                now = perf_counter()
                if phase == 1:
                    taken.messages += done
                    taken.waits += _ended(sent, done, now)
                    if now >= until:
                        taken.seconds = now - taken.began
                        server, client = clocks.read()
                        taken.server_cpu, taken.client_cpu = server - taken.server_cpu, client - taken.client_cpu
                        phase = 2
                else:
                    _ended(sent, done, now)
                    if now >= until:
                        taken.began, until = now, now + seconds
                        taken.server_cpu, taken.client_cpu = clocks.read()
                        phase = 1
                if phase < 2:
                    self._send(done, sent)
            elif done:
                _ended(sent, done, 0.0)
            front = self._front
            behind = sum(map(front.__gt__, got.values()))
        self._all_the_same()
        return taken

    def verify(self, window: int) -> None:
        """Sends as many messages as may be in flight, and compares every byte that anybody receives. Raises Failed."""
        size = len(self._messages[0].event) * len(self._got)
        self._start()
        crowd = self._crowd
        publisher, first = crowd.publisher.fileno(), self._first.fileno()
        received = {number: bytearray() for number in self._got}
        sent: deque[tuple[float, int]] = deque()
        begin = self._reference.due
        self._send(max(1, min(window, VERIFIED // size)), sent)
        while sent:
            for number, _ in crowd.ready():
                if number == publisher:
                    crowd.publisher_ready()
                    continue
                if number == first:
                    data = self._first.recv(CHUNK)
                    self._got[number] += self._reference.feed(data)
                else:
                    data = crowd.buffer[: self._read[number](crowd.buffer)]
                    self._got[number] += (
                        len(data) if crowd.peer.same_bytes else self._unframed[number].count(data, len(data))
                    )
                if not data:
                    raise Failed(f"{crowd.peer.title} closed a subscriber's connection")
                received[number] += data
            if done := self._advance():
                _ended(sent, done, 0.0)
        self._all_the_same()
        for data in received.values():
            if data == received[first]:
                continue
            if crowd.peer.same_bytes:
                raise Failed(f"{crowd.peer.title} delivered other bytes to one subscriber than to another")
            own = Reference(crowd.peer, self._messages, begin)
            own.feed(bytes(data))
            own.reset()
            if own.due != self._reference.due:
                raise Failed(f"{crowd.peer.title} left messages out for one subscriber")

    def _start(self) -> None:
        self._reference.reset()
        self._got = dict.fromkeys(self._got, 0)
        self._done, self._front = 0, 1

    def _send(self, count: int, sent: deque[tuple[float, int]]) -> None:
        frames = b"".join(islice(self._frames, count))
        sent.append((perf_counter(), count))
        self._crowd.publish(frames)

    def _advance(self) -> int:
        """How many messages everybody has that somebody had not when last asked."""
        ends = self._reference.ends
        low = min(self._got.values())
        done = bisect_right(ends, low, self._done)
        self._front = ends[done] if done < len(ends) else low + 1
        newly, self._done = done - self._done, done
        return newly

    def _all_the_same(self) -> None:
        end = self._reference.ends[-1]
        if wrong := [size for size in self._got.values() if size != end]:
            raise Failed(
                f"{self._crowd.peer.title} delivered {end} bytes to one subscriber, {wrong[0]} to another "
                f"({len(wrong)} of {len(self._got)} differ)"
            )


def _ended(sent: deque[tuple[float, int]], done: int, now: float) -> list[tuple[float, int]]:
    """Takes so many messages off those in flight; returns how long they took."""
    waits = []
    while done:
        at, count = sent.popleft()
        if count > done:
            sent.appendleft((at, count - done))
            count = done
        waits.append((now - at, count))
        done -= count
    return waits
