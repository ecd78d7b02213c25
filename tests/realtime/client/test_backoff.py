from realtime.client.backoff import Backoff, SystemClock


def test_delays_double_up_to_the_cap() -> None:
    backoff = Backoff(lambda: 0.5, base=1, cap=10)
    assert [backoff.next() for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]


def test_jitter_is_full() -> None:
    draws = iter([0.0, 0.999])
    backoff = Backoff(lambda: next(draws), base=1, cap=10)
    assert [backoff.next(), backoff.next()] == [0.0, 1.998]


def test_reset_starts_anew() -> None:
    backoff = Backoff(lambda: 1.0, base=1, cap=10)
    assert [backoff.next(), backoff.next()] == [1, 2]
    backoff.reset()
    assert backoff.next() == 1


def test_days_of_attempts_do_not_overflow() -> None:
    backoff = Backoff(lambda: 1.0, base=1, cap=10)
    assert {backoff.next() for _ in range(5000)} == {1, 2, 4, 8, 10}


async def test_the_system_clock_advances_by_what_it_sleeps() -> None:
    clock = SystemClock()
    start = clock.time()
    await clock.sleep(0.01)
    assert clock.time() - start >= 0.009
