"""The sampler of a giant live room: bounded, fair, and out of the way where there is nothing to spare."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.fanout import sampling
from realtime.fanout.sampling import Sampler

SENDERS = [f"u{i}" for i in range(6)]

Calls = list[tuple[int, list[str]]]
"""The time of each call and who had said something until then, in the order of positions."""

rates = st.integers(1, 40)
calls = st.lists(
    st.tuples(st.integers(0, 700), st.lists(st.sampled_from(SENDERS), max_size=50)), min_size=1, max_size=30
).map(lambda steps: [(sum(wait for wait, _ in steps[: i + 1]), said) for i, (_, said) in enumerate(steps)])


class Stage:
    """A sampler at work; keeps what came of every call."""

    def __init__(self, rate: int, start: int = 0):
        self.sampler = Sampler(rate, start)
        self.pos = 0
        self.said: Counter[str] = Counter()
        self.shown: Counter[str] = Counter()

    def call(self, senders: list[str], now: int) -> tuple[list[str], list[str]]:
        """Whose comments were shown and whose were spared."""
        comments = {self.pos + i: sender for i, sender in enumerate(senders, 1)}
        self.pos += len(senders)
        spared = self.sampler.spared(comments, now)
        assert spared <= comments.keys()
        shown = [sender for pos, sender in comments.items() if pos not in spared]
        self.said.update(senders)
        self.shown.update(shown)
        return shown, [comments[pos] for pos in sorted(spared)]

    def run(self, arrivals: Calls) -> list[tuple[int, list[str], list[str]]]:
        return [(now, *self.call(senders, now)) for now, senders in arrivals]


@given(rates, calls)
def test_no_stretch_of_time_has_more_than_the_rate_and_one_second_s_worth(rate: int, arrivals: Calls) -> None:
    outcome = Stage(rate).run(arrivals)
    for first, (began, *_) in enumerate(outcome):
        shown = 0
        for now, seen, _ in outcome[first:]:
            shown += len(seen)
            assert shown * 1_000 <= rate * (1_000 + now - began)


@given(rates, calls)
def test_while_no_second_has_more_than_the_rate_all_is_shown(rate: int, arrivals: Calls) -> None:
    kept: Calls = []
    for now, senders in arrivals:
        room = rate - sum(len(said) for then, said in kept if now - then < 1_000)
        kept.append((now, senders[: max(room, 0)]))
    assert not any(spared for _, _, spared in Stage(rate).run(kept))


@given(rates, calls)
def test_nobody_gains_while_somebody_waits(rate: int, arrivals: Calls) -> None:
    """Of whoever had a comment shown in a call, at most one more was shown in this second than of whoever waits."""
    second, counts = 0, Counter[str]()
    for now, shown, spared in Stage(rate).run(arrivals):
        if now // 1_000 != second:
            second, counts = now // 1_000, Counter()
        counts.update(shown)
        for waiting in spared:
            assert all(counts[sender] <= counts[waiting] + 1 for sender in shown)


@given(rates, calls)
def test_the_same_calls_give_the_same_choices_whatever_the_clock_says(rate: int, arrivals: Calls) -> None:
    later = [(now + 7_000, senders) for now, senders in arrivals]
    once, again = Stage(rate).run(arrivals), Stage(rate, 7_000).run(later)
    assert [what for _, *what in once] == [what for _, *what in again]


@given(rates, calls)
def test_it_counts_what_was_shown_and_said(rate: int, arrivals: Calls) -> None:
    stage = Stage(rate)
    stage.run(arrivals)
    assert stage.sampler.counted() == (stage.shown.total(), stage.said.total())
    assert stage.sampler.counted() == (0, 0)


def flood(stage: Stage, every_ms: int, seconds: int, others: int) -> None:
    """One says 1,000 comments a second; `others` people one comment a second each, at different times."""
    for now in range(every_ms, seconds * 1_000 + 1, every_ms):
        window = range(now - every_ms, now)
        quiet = [f"quiet{i}" for at in window for i in range(others) if at % 1_000 == i * 1_000 // others]
        stage.call([*["flooder"] * (every_ms - len(quiet)), *quiet], now)


@pytest.mark.parametrize("every_ms", [5, 50, 500])
def test_a_flooder_gains_nothing_however_short_the_calls(every_ms: int) -> None:
    """Most calls hold nothing but the flooder's own comments: what is left over then is still not all his."""
    stage = Stage(30)
    flood(stage, every_ms, seconds=20, others=20)
    quiet = sum(count for sender, count in stage.shown.items() if sender != "flooder")
    assert quiet >= 0.95 * 20 * 20
    assert stage.shown["flooder"] <= 30 + 20 * (30 - 20)


@pytest.mark.parametrize("every_ms", [5, 50, 500])
def test_a_flooder_among_many_has_no_more_than_they(every_ms: int) -> None:
    stage = Stage(30)
    crowd = [f"u{i}" for i in range(100)]
    turn = 0
    for now in range(every_ms, 20_001, every_ms):
        said = []
        for _ in range(every_ms):
            said += [crowd[turn % len(crowd)]] if turn % 2 else ["flooder"]
            turn += 1
        stage.call(said, now)
    assert stage.said["flooder"] == 50 * stage.said["u1"]
    assert stage.shown["flooder"] <= 30 + 2 * max(count for sender, count in stage.shown.items() if sender != "flooder")


def test_a_few_who_talk_much_have_all_of_it_between_them() -> None:
    stage = Stage(30)
    for now in range(10, 10_001, 10):
        stage.call(["ann", "bob"], now)
    assert stage.shown.total() >= 0.95 * 10 * 30
    assert abs(stage.shown["ann"] - stage.shown["bob"]) <= 10


def test_turns_go_round() -> None:
    stage = Stage(2)
    crowd = [f"u{i}" for i in range(8)]
    rounds = [stage.call(crowd, now)[0] for now in range(0, 4_000, 1_000)]
    assert sorted(sender for shown in rounds for sender in shown) == crowd


def test_a_forgotten_sender_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SENDERS", 2)
    stage = Stage(1)
    for second, sender in enumerate(["ann", "bob", "cem"]):
        stage.call([sender], 1_000 * second)
    assert stage.call(["bob", "ann"], 3_000)[0] == ["ann"]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SENDERS", 16)
    stage = Stage(10)
    for now, later in pairwise(range(0, 60_000, 100)):
        stage.call([f"u{n}" for n in range(now, later)], now)
    sampler = stage.sampler
    assert len(sampler._shown) == 16
    assert len(sampler._this_second) <= 20


def test_it_calms_down_when_the_flood_is_over() -> None:
    stage = Stage(30)
    stage.call(["flooder"] * 10_000, 0)
    assert stage.shown["flooder"] == 15
    shown, spared = stage.call(["flooder"] * 30, 2_000)
    assert (len(shown), len(spared)) == (30, 0)
