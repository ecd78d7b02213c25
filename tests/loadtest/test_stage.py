"""What the processes have received of a room, against each other and against what was acknowledged."""

import pytest

from loadtest.orders import Acknowledged
from loadtest.stage import differences
from loadtest.stream import Account

SENT = {"r": Acknowledged(pos=12, messages=10, text_sum=99)}
WHOLE = Account(pos=12, events=12, messages=10, text_sum=99, digest=7)


def test_whoever_has_received_all_of_it_is_right() -> None:
    assert list(differences(SENT, [{"r": WHOLE}, {"r": WHOLE}, {}])) == []


def test_where_some_was_skipped_processes_may_have_received_different_parts() -> None:
    part = Account(pos=12, events=6, skipped=6, messages=5, text_sum=44, digest=1)
    other = Account(pos=12, events=8, skipped=4, messages=7, text_sum=66, digest=2)
    assert list(differences(SENT, [{"r": part}, {"r": other}])) == []


@pytest.mark.parametrize(
    ("account", "said"),
    [
        (Account(pos=12, events=11, messages=9, text_sum=90, digest=7), "10 messages acknowledged, 9 received"),
        (Account(pos=12, events=12, messages=10, text_sum=98, digest=7), "or others"),
        (
            Account(pos=12, events=12, skipped=1, messages=8, text_sum=1, digest=7),
            "10 messages acknowledged, 8 received",
        ),
        (Account(pos=11, events=12, messages=10, text_sum=99, digest=7), "to position 11, another to 12"),
        (Account(pos=12, events=12, messages=10, text_sum=99, digest=8), "same bytes"),
    ],
)
def test_what_differs_is_said(account: Account, said: str) -> None:
    (found,) = differences(SENT, [{"r": WHOLE}, {"r": account}])
    assert said in found
