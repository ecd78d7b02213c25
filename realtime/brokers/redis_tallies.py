"""Counts over nodes, in Redis or Valkey, alone or as a cluster."""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Any

import structlog
from msgspec import Struct

from realtime.brokers.redis_line import LOST
from realtime.brokers.redis_servers import client
from realtime.client.backoff import Backoff
from realtime.ports.tallies import ANSWER_SECONDS, Told
from rooms.ids import Millis

log = structlog.get_logger("realtime.tallies")

WAITING = 65_536
"""So many names may wait to be noted, and as many acts to be counted: above, the oldest is dropped."""
TOGETHER = 256
"""So many notes, acts and names go into one pipeline, or the names of one question."""
PIPELINE_SECONDS = 1.0
"""What takes longer has failed."""
KEPT_SECONDS = 86_400


class _Acts(Struct):
    times: int
    window_ms: Millis
    told: Told


class _Question(Struct, eq=False):
    names: Collection[str]
    answer: asyncio.Future[Mapping[str, Mapping[str, int]]]


class _Turn(Struct):
    """What goes into one pipeline."""

    notes: dict[str, int]
    acts: dict[str, _Acts]
    questions: list[_Question]


class RedisTallies:
    """The Tallies on Redis: of what is held a hash a name, node → count; of acts a counter that ends with its window.

    One pipeline is under way, and the next is for all that has come meanwhile: first notes, then acts, then questions.
    A pipeline that fails is followed by others with growing delays of up to a second; until one succeeds, questions
    are not asked.
    """

    def __init__(self, url: str, *, node: str, prefix: str):
        """Keys begin with the prefix. Raises ValueError for a URL that cannot be read."""
        self.up = False
        self.failed = 0
        self.dropped = 0
        self._client = client(url, PIPELINE_SECONDS)
        self._node = node
        self._prefix = prefix
        self._notes: dict[str, int] = {}
        self._acts: dict[str, _Acts] = {}
        self._questions: deque[_Question] = deque()
        self._wake = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._resumed: Callable[[], None] = lambda: None

    async def open(self, resumed: Callable[[], None]) -> None:
        self._resumed = resumed
        self._wake.set()
        self._running = asyncio.create_task(self._run(), name="redis tallies")

    async def close(self) -> None:
        if self._running is None:
            return
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._running = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while self.up and (self._notes or self._acts or self._questions):
                    await self._make(self._take())
        except LOST as error:
            log.debug("tallies_not_noted", error=str(error))
        self.up = False
        await self._client.aclose()

    def note(self, name: str, count: int) -> None:
        self._notes.pop(name, None)
        self._notes[name] = count
        self._bound(self._notes)
        self._wake.set()

    def act(self, name: str, window_ms: Millis, told: Told) -> None:
        if not self.up:
            self.failed += 1
            return
        before = self._acts.get(name)
        self._acts[name] = _Acts(before.times + 1 if before is not None else 1, window_ms, told)
        self._bound(self._acts)
        self._wake.set()

    def _bound(self, waiting: dict[str, Any]) -> None:
        if len(waiting) > WAITING:
            waiting.pop(next(iter(waiting)))
            self.dropped += 1

    async def held(self, names: Collection[str]) -> Mapping[str, Mapping[str, int]]:
        if not self.up or len(self._questions) >= WAITING:
            self.failed += 1
            return {}
        question = _Question(names, asyncio.get_running_loop().create_future())
        self._questions.append(question)
        self._wake.set()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await question.answer
        except TimeoutError:
            self.failed += 1
            return {}

    # To Redis

    async def _run(self) -> None:
        backoff = Backoff(random.random, base=0.05, cap=1.0)
        while True:
            await self._wake.wait()
            self._wake.clear()
            turn = self._take()
            try:
                async with asyncio.timeout(PIPELINE_SECONDS):
                    await self._make(turn)
            except LOST as error:
                if self.up:
                    log.warning("tallies_lost", error=str(error) or type(error).__name__)
                self.up = False
                self.failed += 1
                await asyncio.sleep(backoff.next())
                self._wake.set()
                continue
            except Exception:
                self.up = False
                self.failed += 1
                log.exception("tallies_failed")
                await asyncio.sleep(backoff.next())
                self._wake.set()
                continue
            backoff.reset()
            if not self.up:
                self.up = True
                self._resumed()
            if self._notes or self._acts or self._questions:
                self._wake.set()

    def _take(self) -> _Turn:
        questions, names = [], 0
        while self._questions and names < TOGETHER:
            question = self._questions.popleft()
            if not question.answer.done():
                questions.append(question)
                names += len(question.names)
        return _Turn(_first(self._notes), _first(self._acts), questions)

    async def _make(self, turn: _Turn) -> None:
        """Raises one of LOST."""
        names = list(dict.fromkeys(name for question in turn.questions for name in question.names))
        try:
            answers = await self._pipe(turn, names)
        except BaseException:
            # What has been noted anew since then counts.
            self._notes = turn.notes | self._notes
            self._answer(turn, {})
            raise
        held = [{node: int(count) for node, count in hash_.items()} for hash_ in answers[len(answers) - len(names) :]]
        for number, acts in enumerate(turn.acts.values()):
            total, _, left_ms = answers[3 * number : 3 * number + 3]
            acts.told(total, left_ms)
        self._answer(turn, dict(zip(names, held, strict=True)))

    async def _pipe(self, turn: _Turn, names: Collection[str]) -> list[Any]:
        """The answers to the acts, three to each, and to the names."""
        pipe = self._client.pipeline(transaction=False)
        before = 1
        pipe.exists(f"{self._prefix}:held")
        for name, count in turn.notes.items():
            key = f"{self._prefix}:held:{name}"
            if count:
                pipe.hset(key, self._node, str(count))
                pipe.expire(key, KEPT_SECONDS)
                before += 2
            else:
                pipe.hdel(key, self._node)
                before += 1
        for name, acts in turn.acts.items():
            key = f"{self._prefix}:acts:{name}"
            pipe.incrby(key, acts.times)
            pipe.pexpire(key, acts.window_ms, nx=True)
            pipe.pttl(key)
        for name in names:
            pipe.hgetall(f"{self._prefix}:held:{name}")
        answers: list[Any] = await pipe.execute()
        return answers[before:]

    @staticmethod
    def _answer(turn: _Turn, held: Mapping[str, Mapping[str, int]]) -> None:
        for question in turn.questions:
            if not question.answer.done():
                question.answer.set_result({name: held[name] for name in question.names if name in held})


def _first(waiting: dict[str, Any]) -> dict[str, Any]:
    """Takes the oldest out of what waits."""
    return {name: waiting.pop(name) for name in list(islice(waiting, TOGETHER))}
