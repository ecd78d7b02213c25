"""State from the log: folding all events, a snapshot plus the rest, and the database's projections are the same."""

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from realtime.ports import Clock, Store
from realtime.stores.common import SQLStore
from realtime.stores.sqlite import SQLiteStore
from realtime.stores.verify import Problem, verify
from rooms import commands as c
from rooms.actors import Actor
from rooms.errors import Rejected
from rooms.room import Message, Room
from rooms.settings import SettingsPatch
from tests.support.postgres_store import empty, postgres_store
from tests.support.service import make_service

ROOM = "r"
PEOPLE = [Actor(user=name, name=name.title()) for name in ("ann", "bob", "cem", "dee")]


positions = st.integers(1, 25)
users = st.sampled_from([actor.user for actor in PEOPLE])
texts = st.sampled_from(["hello", "hi @ann", "@all hands", "你好 @bob", "@Cem?"])
commands = st.one_of(
    st.builds(c.MessageSend, room=st.just(ROOM), text=texts, reply_to=st.none() | positions),
    st.builds(c.MessageSend, room=st.just(ROOM), text=texts),
    st.builds(c.MessageEdit, room=st.just(ROOM), target=positions, text=texts),
    st.builds(c.MessageDelete, room=st.just(ROOM), target=positions),
    st.builds(c.MessageReact, room=st.just(ROOM), target=positions, emoji=st.sampled_from("👍🎉")),
    st.builds(c.MessageUnreact, room=st.just(ROOM), target=positions, emoji=st.sampled_from("👍🎉")),
    st.builds(c.MessagePin, room=st.just(ROOM), target=positions, seconds=st.none() | st.just(60)),
    st.builds(c.MessageUnpin, room=st.just(ROOM), target=positions),
    st.builds(c.MemberJoin, room=st.just(ROOM)),
    st.builds(c.MemberLeave, room=st.just(ROOM)),
    st.builds(c.MemberRole, room=st.just(ROOM), user=users, role=st.sampled_from(["owner", "moderator", "member"])),
    st.builds(c.MemberMute, room=st.just(ROOM), user=users, seconds=st.none() | st.just(1)),
    st.builds(c.MemberUnmute, room=st.just(ROOM), user=users),
    st.builds(c.MemberKick, room=st.just(ROOM), user=users),
    st.builds(c.MemberBan, room=st.just(ROOM), user=users, seconds=st.just(1), purge_seconds=st.none() | st.just(60)),
    st.builds(c.MemberUnban, room=st.just(ROOM), user=users),
    st.builds(
        c.RoomUpdate,
        room=st.just(ROOM),
        title=st.none() | st.sampled_from(["A", "B"]),
        settings=st.builds(SettingsPatch, slow_seconds=st.sampled_from([0, 1]), invite_only=st.booleans()),
    ),
)


bursts = st.lists(st.tuples(st.integers(0, 3), commands), min_size=1, max_size=8)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
@given(history=st.lists(bursts, min_size=2, max_size=10), cut=st.integers(0, 9))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_fold_snapshot_and_projections_agree(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    database: str,
    history: list[list[tuple[int, c.Decided]]],
    cut: int,
) -> None:
    clock = itertools.count(1_700_000_000_000, 200).__next__
    if database == "sqlite":
        store: Store = SQLiteStore(tmp_path_factory.mktemp("state") / "galaxy.db", clock)
        asyncio.run(_agree(store, clock, history, cut))
    else:
        postgres, name = request.getfixturevalue("postgres"), request.getfixturevalue("postgres_database")
        empty(postgres, name)
        asyncio.run(_agree(postgres_store(postgres, name, clock), clock, history, cut))
        empty(postgres, name)


async def _agree(store: Store, clock: Clock, history: list[list[tuple[int, c.Decided]]], cut: int) -> None:
    service = make_service(store, clock)
    await service.start()
    try:
        for actor in PEOPLE:
            await store.save_profile(actor.user, actor.name, actor.avatar)
        admin = Actor(user="ann", name="Ann", admin=True)
        await service.answer(admin, c.RoomCreate(kind="group", title="R", visibility="public", room=ROOM))
        for actor in PEOPLE[1:]:
            await service.answer(actor, c.MemberJoin(room=ROOM))
        snapshot = None
        for number, burst in enumerate(history):
            if number == cut % len(history):
                snapshot = await _loaded(store)
            # What is sent together is decided together, in one batch.
            answers = await asyncio.gather(
                *(service.answer(PEOPLE[who], command) for who, command in burst), return_exceptions=True
            )
            for answer in answers:
                assert isinstance(answer, dict) or (isinstance(answer, Rejected) and answer.code != "internal"), answer

        loaded = await store.load(ROOM)
        assert loaded is not None
        events = await store.events(ROOM, after=0, to=loaded.room.pos, limit=100_000)
        assert [event.pos for event in events] == list(range(1, loaded.room.pos + 1))
        folded = Room(ROOM)
        folded.apply_all(events)
        assert snapshot is not None
        taken_at = snapshot.pos
        snapshot.apply_all(event for event in events if event.pos > taken_at)
        projected = await _loaded(store)
        hosted = service.directory.hosts[ROOM].room
        assert shape(folded) == shape(projected)
        assert shape(snapshot) == shape(projected)
        assert shape(hosted, complete=False) == shape(projected, complete=False)
        assert isinstance(store, SQLStore)
        problems: list[Problem] = []
        await verify(store, problems.append)
        assert problems == []
    finally:
        await service.close()


async def _loaded(store: Store) -> Room:
    """The room as the projections have it, everything in it known."""
    loaded = await store.load(ROOM)
    assert loaded is not None
    room = loaded.room
    found = await store.find(
        ROOM, people=[actor.user for actor in PEOPLE], messages=range(1, room.pos + 1), names=(), purge_limit=0
    )
    for user, person in found.people.items():
        room.know_person(user, person)
    for pos in sorted(found.messages):
        room.know_message(pos, found.messages[pos])
    return room


def shape(room: Room, *, complete: bool = True) -> dict[str, Any]:
    """All that a room says, in a form to compare; people and messages only where all are known."""
    plain = {
        name: getattr(room, name)
        for name in ("pos", "rules_pos", "n", "kind", "title", "visibility", "settings", "closed", "members", "since")
    }
    plain |= {"staff": dict(sorted(room.staff.items())), "pins": dict(sorted(room.pins.items()))}
    if complete:
        plain["people"] = {user: room.people[user] for user in sorted(room.people) if room.people[user] is not None}
        plain["messages"] = {
            pos: message_shape(message) for pos, message in sorted(room.messages.items()) if message is not None
        }
    return plain


def message_shape(message: Message) -> Any:
    """Of a deleted message only that it was there."""
    if message.text is None:
        return (message.pos, message.at, message.by.id, message.n)
    reactions = {emoji: sorted(users) for emoji, users in message.reactions}
    return (
        message.pos,
        message.at,
        message.by,
        message.n,
        message.text,
        sorted(message.mentions),
        message.reply_to,
        message.edited_at,
        reactions,
    )
