"""Whatever owners, publishers and the clock do: the log's fold, the room at work and the store say the same."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.ports import Store
from realtime.stores.common import SQLStore
from realtime.stores.sqlite import SQLiteStore
from realtime.stores.verify import Problem, verify
from relay.ports import Refused
from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor
from rooms.errors import Rejected
from rooms.live import Flowing, Lapse, Left, Publish
from rooms.room import Room
from tests.realtime.live.stage import NOW, OWNER, ROOM, ROOT, SETTINGS
from tests.support.postgres_store import empty, postgres_store
from tests.support.service import make_service

creators = st.sampled_from(["ann", "bob"])
fences = st.integers(0, 2)
"""Counted back from the newest."""
STEPS: list[st.SearchStrategy[Any]] = [
    st.tuples(st.just("publish"), creators, st.sampled_from(["one", "two"])),
    st.tuples(st.just("publish"), creators, st.sampled_from(["one", "two"])),
    st.tuples(st.just("flowing"), fences),
    st.tuples(st.just("flowing"), st.just(0)),
    st.tuples(st.just("left"), fences),
    st.tuples(st.just("wait"), st.sampled_from([1, 25, 40])),
    st.builds(
        c.LiveStart,
        room=st.just(ROOM),
        title=st.none() | st.sampled_from(["A", "B"]),
        category=st.none() | st.sampled_from(["", "C"]),
        mature=st.none() | st.booleans(),
        test=st.booleans(),
    ),
    st.just(c.LiveStop(room=ROOM)),
    st.just(c.LiveTakedown(room=ROOM)),
    st.builds(c.MemberKick, room=st.just(ROOM), user=creators),
    st.builds(c.MemberBan, room=st.just(ROOM), user=creators, seconds=st.just(20)),
    st.tuples(st.just("join"), creators),
]
steps = st.lists(st.lists(st.one_of(*STEPS), min_size=1, max_size=3), min_size=4, max_size=14)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@given(history=steps)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_fold_room_and_store_agree(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest, database: str, history: list[list[Any]]
) -> None:
    now = [NOW]
    if database == "sqlite":
        store: Store = SQLiteStore(tmp_path_factory.mktemp("live") / "galaxy.db", lambda: now[0])
        asyncio.run(_agree(store, now, history))
    else:
        postgres, name = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_database")
        empty(postgres, name)
        asyncio.run(_agree(postgres_store(postgres, name, lambda: now[0]), now, history))
        empty(postgres, name)


async def _agree(store: Store, now: list[int], history: list[list[Any]]) -> None:
    service = make_service(store, lambda: now[0], live=SETTINGS)
    await service.start()
    await service.live.stop()  # what is due is done by the test
    try:
        admin = Actor(user=OWNER.user, name=OWNER.name, admin=True)
        await service.answer(admin, c.RoomCreate(kind="live", title="R", visibility="public", room=ROOM))
        await _join(service, "bob")
        users: dict[str, str] = {}
        for together in history:
            done = await asyncio.gather(*(_do(service, now, step) for step in together), return_exceptions=True)
            for outcome in done:
                allowed = isinstance(outcome, Rejected | Refused) and outcome.code != "internal"
                assert outcome is None or allowed, outcome
            await _hold(service, store, users)
        now[0] += 120_000
        for _ in range(3):
            await service.live.closing.close_due()
            now[0] += 120_000
        loaded = await store.load(ROOM)
        assert loaded is not None
        assert loaded.room.live is None, "nobody is left, and the log says so"
        assert not (await store.stream(ROOM)).on
        assert isinstance(store, SQLStore)
        problems: list[Problem] = []
        await verify(store, problems.append)
        assert problems == []
    finally:
        await service.close()


async def _join(service: Any, user: str) -> None:
    await service.answer(Actor(user=user, name=user), c.MemberJoin(room=ROOM))
    await service.answer(ROOT, c.MemberRole(room=ROOM, user=user, role="owner"))


async def _do(service: Any, now: list[int], step: Any) -> None:
    acting = service.live.acting
    match step:
        case ("publish", user, process):
            await acting.act(user, Publish(room=ROOM, node="n", process=process))
        case ("flowing" | "left" as what, back):
            fence = (await service.store.stream(ROOM)).fence - back
            await acting.act_on(ROOM, (Flowing if what == "flowing" else Left)(room=ROOM, fence=fence))
        case ("wait", seconds):
            now[0] += seconds * 1_000
            await acting.act_on(ROOM, Lapse(room=ROOM))
        case ("join", user):
            await _join(service, user)
        case _:
            await service.answer(ROOT if not isinstance(step, c.LiveStart) else OWNER, step)


async def _hold(service: Any, store: Store, users: dict[str, str]) -> None:
    """What is so at any time. `users`: by session, as seen so far."""
    loaded = await store.load(ROOM)
    assert loaded is not None
    log = await store.events(ROOM, after=0, to=loaded.room.pos, limit=10_000)
    folded = Room(ROOM)
    folded.apply_all(log)
    hosted = service.directory.hosts[ROOM].room
    assert folded.live == loaded.room.live == hosted.live
    stream = await store.stream(ROOM)
    if stream.state == "idle":
        assert folded.live is None
        assert stream.until is None
    else:
        assert stream.until is not None
        assert users.setdefault(stream.session, stream.user) == stream.user, "a session is one creator's"
    if folded.live is not None:
        assert folded.live.session == stream.session
        assert not stream.test
        assert (folded.live.interrupted is not None) <= (stream.state in ("admitted", "interrupted", "ending"))
    if stream.state == "flowing":
        assert (folded.live is None) == stream.test
    on = False
    for event in log:
        match event:
            case e.LiveStarted():
                assert not on
                on = True
            case e.LiveStopped():
                assert on
                on = False
            case e.LiveUpdated() | e.LiveInterrupted() | e.LiveResumed():
                assert on
            case _:
                pass
