"""Who is there, who has left, and who has fallen silent."""

from realtime.hosting.peers import LOST_SECONDS, MISSED_SECONDS, Peers


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_silent_ones_are_lost_and_missed_for_a_while() -> None:
    time = Time()
    peers = Peers(time)
    peers.alive("a", leaving=False)
    time.now = LOST_SECONDS
    peers.alive("b", leaving=False)
    assert (peers.expire(), len(peers), peers.missed) == ([], 2, False)
    time.now += 1
    assert peers.expire() == ["a"]
    assert peers.expire() == []
    assert ("a" in peers, "b" in peers, peers.missed) == (False, True, True)
    time.now += MISSED_SECONDS + 1
    peers.alive("b", leaving=False)
    peers.expire()
    assert not peers.missed


def test_who_speaks_again_is_missed_no_more() -> None:
    time = Time()
    peers = Peers(time)
    peers.alive("a", leaving=False)
    time.now = LOST_SECONDS + 1
    assert peers.expire() == ["a"]
    assert peers.alive("a", leaving=False)
    assert ("a" in peers, peers.missed) == (True, False)
    assert not peers.alive("a", leaving=False)


def test_who_leaves_is_not_missed() -> None:
    time = Time()
    peers = Peers(time)
    peers.alive("a", leaving=False)
    assert not peers.alive("a", leaving=True)
    time.now = LOST_SECONDS + 1
    assert (peers.expire(), len(peers), peers.missed) == ([], 0, False)
