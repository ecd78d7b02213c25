"""A run's seconds are complete before anybody sees them."""

from loadtest.recorder import FAILURES, Recorder
from loadtest.results import Failure, Second
from tests.loadtest.runs import packed


class Watching:
    def __init__(self) -> None:
        self.seen: list[int] = []

    def update(self, second: Second, failed: int) -> None:
        self.seen.append(second.at)


def test_a_second_is_shown_once_all_have_told_of_it() -> None:
    watching = Watching()
    recorder = Recorder(2, watching)
    recorder.tick(0, Second(at=0, sent=1))
    recorder.tick(1, Second(at=0, sent=2))
    assert watching.seen == []
    recorder.sampled(0, {"cpu": 0.5})
    assert watching.seen == [0]
    assert (recorder.seconds[0].sent, recorder.seconds[0].server) == (3, {"cpu": 0.5})


def test_a_process_that_was_too_busy_does_not_hold_up_the_others_for_ever() -> None:
    recorder = Recorder(2, None)
    for at in range(3):
        recorder.tick(0, Second(at=at, delivered=10))
        recorder.sampled(at, {})
    recorder.tick(1, Second(at=2, delivered=30))
    assert [(second.at, second.delivered) for second in recorder.seconds] == [(0, 10), (1, 10), (2, 40)]


def test_what_has_come_is_kept_when_no_more_will() -> None:
    recorder = Recorder(2, None)
    recorder.tick(0, Second(at=0, latencies={"delivery": packed([5])}))
    recorder.close()
    assert [second.at for second in recorder.seconds] == [0]


def test_all_failures_are_counted_and_the_first_are_kept() -> None:
    recorder = Recorder(1, None)
    for i in range(FAILURES + 5):
        recorder.fail(Failure(kind="hole", text=str(i)))
    assert (recorder.failed, len(recorder.failures), recorder.failures[0].text) == (FAILURES + 5, FAILURES, "0")
