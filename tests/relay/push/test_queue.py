"""The queue of a destination: bounded, and never a part of a group of pictures."""

from hypothesis import given
from hypothesis import strategies as st

from relay.push.queue import AUDIO_ALONE, UnitQueue
from relay.units import HZ, Unit
from tests.relay.push.support import GROUP, audio, video


@given(st.integers(0, GROUP), st.lists(st.integers(0, 40), min_size=1, max_size=40), st.integers(3_000, 60_000))
def test_groups_are_given_from_their_keyframe_on(start: int, reads: list[int], most_bytes: int) -> None:
    queue = UnitQueue(most_bytes, 2 * HZ)
    given: list[Unit] = []
    number = start
    for read in reads:
        for _ in range(7):
            queue.put(video(number))
            number += 1
            assert queue.bytes <= most_bytes
            assert queue.ticks <= 2 * HZ
        given += [unit for _ in range(read) if (unit := queue.get()) is not None]
    previous = None
    for unit in given:
        assert unit.key or (previous is not None and unit.dts == previous.dts + 3_000)
        previous = unit
    waiting = sum(1 for _ in iter(queue.get, None))
    before_the_first = -start % GROUP
    assert len(given) + waiting + queue.dropped == max(0, number - start - before_the_first)


def test_a_keyframe_is_wanted_until_there_is_one() -> None:
    queue = UnitQueue(10_000, HZ)
    assert queue.wants_keyframe
    queue.put(video(1))
    assert queue.wants_keyframe
    assert queue.get() is None
    queue.put(video(GROUP))
    assert not queue.wants_keyframe


def test_audio_alone_begins_after_a_while_and_loses_its_oldest() -> None:
    queue = UnitQueue(10_000, HZ)
    number = 0
    while queue.get() is None:
        queue.put(audio(number))
        number += 1
    assert (number - 1) * 1_920 >= AUDIO_ALONE
    for later in range(number, number + 100):
        queue.put(audio(later))
    first = queue.get()
    assert first is not None
    assert first.dts >= (number + 99) * 1_920 - HZ
    assert queue.ticks <= HZ
    queue.put(video(400))
    assert queue.wants_keyframe
