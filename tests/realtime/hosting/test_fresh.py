"""Random ids."""

import re

from realtime.hosting.fresh import TOGETHER, FreshIds


def test_no_id_is_given_twice_and_all_are_of_full_length() -> None:
    ids = FreshIds()
    given = [ids.next() for _ in range(3 * TOGETHER)]
    assert len(set(given)) == len(given)
    assert all(re.fullmatch("[A-Za-z0-9_-]{22}", one) for one in given)
    assert FreshIds().next() not in given
