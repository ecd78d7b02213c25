import asyncio
from collections.abc import Collection

import pytest

from realtime import ports
from realtime.hosting import gathering
from realtime.hosting.gathering import Gathering


class Source:
    """Answers with the key in capitals, once `gate` is open."""

    def __init__(self) -> None:
        self.asked: list[set[str]] = []
        self.gate = asyncio.Event()
        self.failure: Exception | None = None

    async def ask(self, keys: Collection[str]) -> dict[str, str]:
        self.asked.append(set(keys))
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return {key: key.upper() for key in keys if key != "missing"}


async def test_those_who_ask_together_are_one_question() -> None:
    source = Source()
    source.gate.set()
    gathered = Gathering(source.ask)
    found = await asyncio.gather(*(gathered.get(key) for key in ("a", "b", "a", "missing")))
    assert found == ["A", "B", "A", None]
    assert source.asked == [{"a", "b", "missing"}]


async def test_who_comes_while_one_is_under_way_is_in_the_next() -> None:
    source = Source()
    gathered = Gathering(source.ask)
    first = asyncio.create_task(gathered.get("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    later = [asyncio.create_task(gathered.get(key)) for key in ("a", "b")]
    await asyncio.sleep(0)
    source.gate.set()
    assert await asyncio.gather(first, *later) == ["A", "A", "B"]
    assert source.asked == [{"a"}, {"a", "b"}]


async def test_a_question_has_so_many_keys_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "TOGETHER", 2)
    source = Source()
    source.gate.set()
    gathered = Gathering(source.ask)
    assert await asyncio.gather(*map(gathered.get, "abcde")) == list("ABCDE")
    assert list(map(len, source.asked)) == [2, 2, 1]


async def test_a_failure_is_for_those_who_asked_and_who_left_harms_nobody() -> None:
    source = Source()
    source.failure = ports.Unavailable("away")
    gathered = Gathering(source.ask)
    waiting = [asyncio.create_task(gathered.get(key)) for key in "abc"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting[0].cancel()
    source.gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, ports.Unavailable, ports.Unavailable]
    source.failure = None
    assert await gathered.get("d") == "D"


async def test_too_many_who_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "WAITING", 1)
    source = Source()
    gathered = Gathering(source.ask)
    first = asyncio.create_task(gathered.get("a"))
    await asyncio.sleep(0)
    with pytest.raises(ports.Unavailable):
        await gathered.get("b")
    source.gate.set()
    assert await first == "A"
