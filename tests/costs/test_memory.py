"""The measurement itself: each kind grows in its turn."""

from tests.costs.memory import measure


def test_each_kind_is_measured() -> None:
    found = measure(connections=200, rooms=100, memberships=1, messages=2)
    assert list(found) == [
        "a connection that listens nowhere",
        "a membership of who is online",
        "a loaded room with one listener",
        "a message of a loaded room",
    ]
    assert found["a connection that listens nowhere"] > 100
    assert found["a loaded room with one listener"] > 100
