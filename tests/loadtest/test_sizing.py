"""The model of docs/scaling.md: a small case by hand, and what holds for every case."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.assumptions import Assumptions
from loadtest.limits import limits, size
from loadtest.sizing import MOST_NODES, batch, cell, least, others
from loadtest.traffic import Traffic, cells_each, traffic
from loadtest.unit_costs import BEACONS, SHOWN, UnitCosts
from realtime import config
from realtime.hosting import across

COSTS = UnitCosts()
ASSUMED = st.builds(
    Assumptions,
    users=st.floats(100, 1e8),
    rooms=st.floats(100, 1e8),
    online=st.floats(0.01, 0.5),
    messages_per_user_day=st.floats(1, 100),
    live_rooms=st.floats(1, 100),
    live_viewers=st.floats(0, 1e5),
    text=st.floats(1, 2_000),
)


def a_tenth(users: float, **more: float) -> Assumptions:
    """A room for ten users."""
    return Assumptions(users=users, rooms=users / 10, **more)


def test_a_small_case_by_hand() -> None:
    a = Assumptions(
        users=86_400,
        rooms=8_640,
        online=0.5,
        messages_per_user_day=1,
        rooms_each=2,
        peak=2,
        marks_per_message=3,
        sessions_per_user_day=4,
        live_rooms=2,
        live_viewers=5,
        live_comments=40,
        node_connections=43_200,
        busy=0.9,
    )
    t = traffic(a)
    assert t == Traffic(
        online=43_200,
        messages=2,
        comments=80,
        followers=10,
        listeners=10,
        deliveries=20,
        shown=300,  # 30 a second to each of ten viewers
        changes=20,
        marks=6,
        sessions=8,
    )
    costs = msgspec.structs.replace(COSTS, commit_seconds=0.1, message_us=100, commit_us=1_000, idle_us=1)
    one = cell(a, costs, 1)
    commits = 82 / (1 + 82 / 4 * 0.1)  # four lanes
    assert one.commits == pytest.approx(commits + 6)
    assert (one.nodes, one.connections, one.postgres_connections) == (1, 43_200, 8)
    assert (one.heard, one.envelopes, one.redis_shards, one.everywhere) == (0, 0, 0, 0)
    by_hand = 82 * 100 + commits * 1_000 + 40 * costs.delivery_us + 300 * costs.live_delivery_us
    by_hand += 6 * costs.mark_us + 8 * (costs.session_us + 2 * costs.recovery_us) + 43_200
    assert one.gateway_cores == pytest.approx(by_hand / 1e6)
    assert one.network_out == pytest.approx((20 + 20 + 300) * (costs.delivery_bytes + 120))
    assert one.wal == pytest.approx(82 * costs.wal_bytes)
    assert one.disk == pytest.approx(41 * 86_400 * 365 * costs.disk_bytes)


def test_it_goes_by_what_the_server_does() -> None:
    assert (across.BEACONS, config.Limits().live_comments_per_second) == (BEACONS, SHOWN)
    store, a = config.Store(), a_tenth(10)
    assert (a.lanes, a.readers) == (store.write_lanes, store.read_connections)


def test_two_nodes_tell_each_other_what_the_other_follows() -> None:
    a = Assumptions(
        users=864, rooms=432, online=1, messages_per_user_day=100, rooms_each=1, peak=1, node_connections=432
    )
    one = cell(a, COSTS, 1)
    assert one.nodes == 2
    assert others(2, 2) == 0.5
    # A message a second, two beacons after it, two read marks, and two nodes that say that they are alive.
    assert one.envelopes == pytest.approx(1 + 2 + 2 + 2)
    assert one.heard == pytest.approx(0.5 + 2 * 0.5 + 2 + 2)
    small, large = COSTS.small_envelope_bytes, COSTS.envelope_bytes + 120
    assert one.redis_received == pytest.approx(large + 6 * small)
    assert one.redis_sent == pytest.approx(one.redis_received + 0.5 * large + 5 * small)
    cpu = one.envelopes * COSTS.publish_us + (one.heard + one.envelopes) * COSTS.subscriber_us
    assert one.redis_cores == pytest.approx(cpu / 1e6)


@pytest.mark.parametrize(("nodes", "followers", "expected"), [(1, 9, 0), (5, 1, 0), (1e9, 11, 10), (3, 1e9, 2)])
def test_who_hears_of_a_message(nodes: float, followers: float, expected: float) -> None:
    assert others(nodes, followers) == pytest.approx(expected)


def test_what_is_done_together() -> None:
    assert batch(0, 4, 0.001) == 1
    assert batch(8_000, 4, 0.001) == 3


@pytest.mark.parametrize("found", [*range(5, 40)])
def test_the_least_that_fits(found: int) -> None:
    assert least(lambda number: number >= found, 5, 39) == found
    assert least(lambda number: number >= found, 5, found - 1) is None or found == 5


@settings(deadline=None)
@given(ASSUMED, st.floats(1, 100))
def test_more_users_want_no_less(a: Assumptions, times: float) -> None:
    more = msgspec.structs.replace(a, users=a.users * times)
    for name in Traffic.__struct_fields__:
        assert getattr(traffic(more), name) >= getattr(traffic(a), name), name
    less, much = cell(a, COSTS, 1), cell(more, COSTS, 1)
    for name in ("connections", "nodes", "gateway_cores", "commits", "postgres_cores", "wal", "disk", "network_out"):
        assert getattr(much, name) >= getattr(less, name) * (1 - 1e-9), name


@settings(deadline=None)
@given(ASSUMED)
def test_twice_the_users_with_twice_the_rooms_want_twice_of_what_is_theirs(a: Assumptions) -> None:
    double = msgspec.structs.replace(a, users=2 * a.users, rooms=2 * a.rooms, live_rooms=2 * a.live_rooms)
    for name in ("online", "messages", "comments", "deliveries", "shown", "changes", "marks", "sessions"):
        assert getattr(traffic(double), name) == pytest.approx(2 * getattr(traffic(a), name)), name
    assert traffic(double).followers == pytest.approx(traffic(a).followers)
    one, two = cell(a, COSTS, 1), cell(double, COSTS, 1)
    for name in ("connections", "wal", "disk", "network_out"):
        assert getattr(two, name) == pytest.approx(2 * getattr(one, name)), name
    assert two.nodes >= one.nodes


@settings(deadline=None)
@given(ASSUMED, st.integers(1, 1_000))
def test_cells_share_out_all_there_is(a: Assumptions, cells: int) -> None:
    t, whole, part = traffic(a), cell(a, COSTS, 1), cell(a, COSTS, cells)
    assert cells * part.connections == pytest.approx(t.online * cells_each(a, cells))
    assert 1 <= cells_each(a, cells) <= min(cells, a.rooms_each)
    assert part.gateway_cores == pytest.approx(sum(part.gateway_work.values()))
    for name in ("wal", "disk", "network_out"):
        assert cells * getattr(part, name) == pytest.approx(getattr(whole, name)), name
    assert part.commits <= (t.messages + t.comments + t.marks) / cells * (1 + 1e-9)
    assert part.heard <= part.envelopes * (part.nodes - 1) * (1 + 1e-9)
    assert part.redis_sent >= part.redis_received
    assert part.nodes * part.node_bytes >= part.connections * COSTS.connection_bytes


@settings(deadline=None)
@given(ASSUMED)
def test_a_node_is_given_no_more_than_is_planned(a: Assumptions) -> None:
    one = cell(a, COSTS, 1)
    assert one.connections <= one.nodes * a.node_connections
    left = a.busy - min(one.everywhere, a.busy / 2)
    assert one.gateway_cores <= one.nodes * (one.everywhere + left) * (1 + 1e-9) or one.nodes == MOST_NODES


@settings(deadline=None)
@given(st.floats(1_000, 1e9), st.floats(1, 100))
def test_so_many_cells_do_and_no_fewer(users: float, messages: float) -> None:
    a = a_tenth(users, messages_per_user_day=messages, live_rooms=10, live_viewers=users / 1_000)
    found = size(a, COSTS)

    def wanting(cells: int) -> list[str]:
        return [it.name for it in limits(a, cell(a, COSTS, cells)) if it.cells and it.share > 1]

    assert wanting(found.cells) == []
    assert found.cells == 1 or wanting(found.cells - 1)
    assert found.disk == pytest.approx(found.cells * found.cell.disk * a.copies)
    assert found.machines * a.machine_cores >= found.cells * found.cell.nodes


def test_limits_are_reached_where_they_are_said_to_be() -> None:
    a = a_tenth(1e6, live_viewers=1_000)
    for at, limit in enumerate(size(a, COSTS).limits):
        assert limit.users is not None
        for users, above in ((limit.users * 0.99, False), (limit.users * 1.01, True)):
            there = msgspec.structs.replace(a, users=users, rooms=users / 10, live_rooms=users / a.users)
            assert (limits(there, cell(there, COSTS, 1))[at].share > 1) is above, limit.name


def test_rooms_are_not_divided() -> None:
    with pytest.raises(ValueError, match=r"^--rooms: with one of the 10 in each cell"):
        size(Assumptions(users=1e9, rooms=10), COSTS)


def test_a_nodes_ears_bound_a_live_rooms_comments() -> None:
    a = a_tenth(1e6, live_viewers=1_000)
    comments = 0.25 / (COSTS.receive_us * 1e-6)
    size(msgspec.structs.replace(a, live_comments=comments * 0.99), COSTS)
    with pytest.raises(ValueError, match=r"^--live-comments: 9,000 a second in one room"):
        size(msgspec.structs.replace(a, live_comments=9_000), COSTS)
