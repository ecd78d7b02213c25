import itertools
from collections import defaultdict
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.gateway.codecs import JSON, MSGPACK, BadCommand
from realtime.gateway.session import BACKLOG, LANE, Bucket, Ended, Limits, Phase, Session, lane_of
from rooms import commands as c

NOW = 1_700_000_000_000
NO_LIMITS = Limits(commands_per_second=0, joins_per_second=0, rate_limited_per_minute=0, bad_requests_per_minute=0)


def text(type: str, /, **fields: Any) -> bytes:
    return msgspec.json.encode({"type": type, "id": 1} | fields)


def receive(session: Session, type: str, /, now: int = NOW, **fields: Any) -> c.AnyCommand | None:
    return session.receive(text(type, **fields), True, now)


def refused(session: Session, type: str, /, now: int = NOW, **fields: Any) -> BadCommand:
    with pytest.raises(BadCommand) as caught:
        receive(session, type, now, **fields)
    return caught.value


def ready(limits: Limits = NO_LIMITS) -> Session:
    session = Session(JSON, limits)
    assert isinstance(receive(session, "hello"), c.Hello)
    assert session.welcome() == ()
    return session


class TestHello:
    def test_comes_first(self) -> None:
        session = Session(JSON, NO_LIMITS)
        bad = refused(session, "ping", id=7)
        assert (bad.rejected.code, bad.id) == ("unauthorized", 7)
        assert isinstance(receive(session, "hello", token="t"), c.Hello)
        assert session.phase is Phase.CHECKING

    @pytest.mark.parametrize("phase", [Phase.CHECKING, Phase.READY])
    def test_comes_once(self, phase: Phase) -> None:
        session = Session(JSON, NO_LIMITS)
        session.phase = phase
        bad = refused(session, "hello", id=7)
        assert (bad.rejected.code, bad.id) == ("bad_request", 7)
        assert session.backlog == ()

    def test_what_comes_while_the_token_is_checked_waits_in_order(self) -> None:
        session = Session(JSON, NO_LIMITS)
        receive(session, "hello")
        for number in range(1, BACKLOG + 1):
            assert receive(session, "ping", id=number) is None
        assert [command.id for command in session.welcome()] == list(range(1, BACKLOG + 1))
        assert session.backlog == ()

    def test_more_than_the_backlog_ends_the_connection(self) -> None:
        session = Session(JSON, NO_LIMITS)
        receive(session, "hello")
        for _ in range(BACKLOG):
            receive(session, "ping")
        with pytest.raises(Ended) as ended:
            receive(session, "ping")
        assert ended.value.code == 3013


class TestMessages:
    def test_a_command_has_an_id(self) -> None:
        with pytest.raises(BadCommand) as caught:
            ready().receive(b'{"type":"ping"}', True, NOW)
        assert (caught.value.rejected.code, caught.value.rejected.field) == ("bad_request", "id")

    @pytest.mark.parametrize("command", [{"type": "typing", "room": "r"}, {"type": "read.mark", "room": "r", "pos": 1}])
    def test_typing_and_read_marks_need_none(self, command: dict[str, Any]) -> None:
        received = ready().receive(msgspec.json.encode(command), True, NOW)
        assert received is not None
        assert received.id is None

    def test_json_is_text_and_messagepack_binary(self) -> None:
        with pytest.raises(BadCommand, match="JSON comes in text messages"):
            ready().receive(text("ping"), False, NOW)
        with pytest.raises(BadCommand, match="MessagePack comes in binary messages"):
            Session(MSGPACK, NO_LIMITS).receive(msgspec.msgpack.encode({"type": "hello", "id": 1}), True, NOW)

    def test_too_many_bad_requests_end_the_connection(self) -> None:
        session = ready(Limits(bad_requests_per_minute=3))
        assert refused(session, "nonsense").rejected.code == "unknown_command"
        assert refused(session, "room.join", room=1).rejected.field == "room"
        with pytest.raises(BadCommand):
            session.receive(b"{", True, NOW)
        with pytest.raises(Ended) as ended:
            session.receive(b"{", True, NOW + 60_000)
        assert ended.value.code == 3501

    def test_bad_requests_count_within_a_minute(self) -> None:
        session = ready(Limits(bad_requests_per_minute=3))
        for number in range(30):
            refused(session, "nonsense", NOW + number * 20_001)

    def test_who_never_says_hello_is_let_go_as_well(self) -> None:
        session = Session(JSON, Limits(bad_requests_per_minute=3))
        for _ in range(3):
            assert refused(session, "ping").rejected.code == "unauthorized"
        with pytest.raises(Ended) as ended:
            receive(session, "ping")
        assert ended.value.code == 3501


class TestPace:
    def test_says_when_there_is_room_again(self) -> None:
        session = ready(Limits(commands_per_second=20, commands_burst=2))
        receive(session, "ping")
        receive(session, "ping")
        bad = refused(session, "ping", id=9)
        assert (bad.rejected.code, bad.rejected.retry, bad.id) == ("rate_limited", True, 9)
        wait = bad.rejected.retry_after_ms
        assert wait == 50
        assert refused(session, "ping", NOW + wait - 1).rejected.retry_after_ms == 1
        assert receive(session, "ping", NOW + wait) is not None

    def test_joins_count_apart(self) -> None:
        session = ready(Limits(commands_per_second=1, commands_burst=1, joins_per_second=1, joins_burst=2))
        receive(session, "ping")
        refused(session, "ping")
        receive(session, "room.join", room="r")
        receive(session, "room.join", room="r")
        refused(session, "room.join", room="r")
        receive(session, "ping", NOW + 1_000)

    def test_who_does_not_heed_it_is_let_go(self) -> None:
        session = ready(Limits(commands_burst=1, rate_limited_per_minute=3))
        receive(session, "ping")
        for _ in range(3):
            assert refused(session, "ping").rejected.code == "rate_limited"
        with pytest.raises(Ended) as ended:
            receive(session, "ping")
        assert ended.value.code == 3013

    def test_no_rate_is_no_limit(self) -> None:
        session = ready(Limits(commands_per_second=0, commands_burst=1))
        for _ in range(1_000):
            receive(session, "ping")

    @given(
        rate=st.integers(1, 100),
        burst=st.integers(1, 300),
        steps=st.lists(st.integers(0, 3_000), min_size=1, max_size=200),
    )
    def test_never_more_than_the_burst_and_the_rate(self, rate: int, burst: int, steps: list[int]) -> None:
        bucket, taken, now = Bucket(burst), [], NOW
        for step in steps:
            now += step
            wait = bucket.wait_ms(rate, burst, now)
            if wait:
                assert wait <= 1_000 / rate + 1
            else:
                taken.append(now)
        for first, last in itertools.combinations_with_replacement(range(0, len(taken), 7), 2):
            elapsed = taken[last] - taken[first]
            assert last - first + 1 <= burst + rate * elapsed / 1_000 + 1e-6

    @given(rate=st.integers(1, 100), burst=st.integers(1, 300), before=st.integers(0, 400))
    def test_who_waits_as_told_is_let_through(self, rate: int, burst: int, before: int) -> None:
        bucket = Bucket(burst)
        for _ in range(before):
            bucket.wait_ms(rate, burst, NOW)
        wait = bucket.wait_ms(rate, burst, NOW)
        assert (wait == 0) == (before < burst)
        if wait:
            assert wait == 1 or bucket.wait_ms(rate, burst, NOW + wait - 1) == 1
            assert bucket.wait_ms(rate, burst, NOW + wait) == 0

    def test_a_clock_set_back_stops_nobody(self) -> None:
        bucket = Bucket(1)
        assert bucket.wait_ms(20, 1, NOW) == 0
        assert bucket.wait_ms(20, 1, NOW - 3_600_000) == 50
        assert bucket.wait_ms(20, 1, NOW - 3_600_000 + 50) == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from(["", "a", "b"]), st.booleans()),
        st.tuples(st.just("end"), st.integers(0, 1_000), st.booleans()),
    ),
    max_size=120,
)


def command(room: str, number: int) -> c.AnyCommand:
    return c.RoomLeave(id=number, room=room) if room else c.Ping(id=number)


class TestOrder:
    @given(STEPS)
    def test_commands_of_a_room_start_in_order_once_and_alone_where_they_must(self, steps: list[Any]) -> None:
        session = ready()
        numbers = itertools.count(1)
        came: dict[str, list[int]] = defaultdict(list)
        started: dict[str, list[int]] = defaultdict(list)
        running: dict[int, c.AnyCommand] = {}
        alone: dict[int, bool] = {}

        def start(one: c.AnyCommand) -> None:
            assert one.id is not None
            mates = [number for number, other in running.items() if lane_of(other) == lane_of(one)]
            assert not mates or not (alone[one.id] or any(alone[mate] for mate in mates))
            running[one.id] = one
            started[lane_of(one)].append(one.id)

        def is_alone(one: c.AnyCommand) -> bool:
            assert one.id is not None
            return alone[one.id]

        def end(number: int) -> None:
            ended = running.pop(number)
            session.done(ended)
            while (following := session.following(ended, is_alone)) is not None:
                assert lane_of(following) == lane_of(ended)
                start(following)

        for kind, which, flag in steps:
            if kind == "come":
                number = next(numbers)
                one = command(which, number)
                alone[number] = flag
                came[which].append(number)
                idle = not any(lane_of(other) == which for other in running.values())
                if session.may_start(one, flag):
                    start(one)
                else:
                    assert not idle, "a room's command waits although nothing of the room is under way"
            elif running:
                end(list(running)[which % len(running)])
            for room, ids in started.items():
                assert ids == came[room][: len(ids)]
        while running:
            end(next(iter(running)))
        assert started == came

    def test_rooms_do_not_wait_for_each_other(self) -> None:
        session = ready()
        assert session.may_start(command("a", 1), True)
        assert not session.may_start(command("a", 2), False)
        assert session.may_start(command("b", 3), True)
        assert session.may_start(command("", 4), True)

    def test_a_lane_is_bounded(self) -> None:
        session = ready()
        session.may_start(command("a", 1), True)
        for number in range(LANE):
            assert not session.may_start(command("a", number + 2), False)
        with pytest.raises(BadCommand) as caught:
            session.may_start(command("a", 999), False)
        assert (caught.value.rejected.code, caught.value.id) == ("unavailable", 999)
        assert caught.value.rejected.retry
        session.done(command("a", 1))
        given = itertools.takewhile(
            bool, (session.following(command("a", 1), lambda _: False) for _ in itertools.count())
        )
        assert len(list(given)) == LANE

    def test_a_command_holds_up_what_comes_after_it_by_what_is_so_when_it_starts(self) -> None:
        session = ready()
        first, second, third = (command("a", number) for number in (1, 2, 3))
        assert session.may_start(first, True)
        assert not session.may_start(second, False)
        assert not session.may_start(third, False)
        session.done(first)
        # The room is no longer at hand: what was quick would now overtake.
        assert session.following(first, lambda _: True) is second
        assert session.following(first, lambda _: False) is None
        session.done(second)
        assert session.following(second, lambda _: False) is third
