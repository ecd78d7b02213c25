"""Appending: positions, order, atomicity, keys, what other nodes wrote meanwhile."""

import asyncio

import msgspec
import pytest
from msgspec.structs import replace

from realtime.ports import (
    Appended,
    Batch,
    Duplicate,
    KeyClaim,
    KeyReused,
    NotTried,
    Proposal,
    Refused,
    Store,
    Written,
)
from rooms import commands as c
from rooms import events as e
from rooms.actors import Actor
from rooms.effects import AddReport, Report, SpaceMessages, TakePending
from rooms.room import Room
from tests.contracts.conftest import OpenStore
from tests.realtime.stores.building import ANN, BOB, NOW, Talk, message, talk


def sent(
    pos: int, text: str = "hello", by: Actor = ANN, key: KeyClaim | None = None, room: str = "r1", n: int = 1
) -> Proposal:
    return Proposal((message(room, pos, by, text, n),), (), key, {}, True, True)


def claim(key: str, body: bytes = b"body") -> KeyClaim:
    return KeyClaim("ann", "r1", key, body)


async def log(store: Store, room: str = "r1") -> list[e.Logged]:
    return await store.events(room, after=0, to=1_000_000, limit=1_000)


async def texts(store: Store, room: str = "r1") -> list[str]:
    return [x.message.text for x in await log(store, room) if isinstance(x, e.MessageCreated) and x.message]


async def test_gives_positions_and_counts_in_the_order_of_the_proposals(store: Store, room: Talk) -> None:
    appended = await store.append(Batch("r1", 1, 0, NOW, (sent(2, "a"), sent(3, "b", n=2), sent(4, "c", n=3))))
    assert [event.pos for event in appended.events] == [2, 3, 4]
    assert [event.message.n for event in appended.events if isinstance(event, e.MessageCreated) and event.message] == [
        1, 2, 3,
    ]  # fmt: skip
    assert appended.results == tuple(Written({"pos": pos, "at": NOW}) for pos in (2, 3, 4))
    assert [event.pos for event in await log(store)] == [1, 2, 3, 4]
    assert await texts(store) == ["a", "b", "c"]


async def test_what_append_returned_is_what_is_read(store: Store, room: Talk) -> None:
    pos = await room.send(ANN, "first")
    appended = await store.append(Batch("r1", room.room.pos, 0, NOW, (sent(room.room.pos + 1, n=2),)))
    assert (await log(store))[pos:] == list(appended.events)


async def test_foreign_events_come_back_and_own_ones_follow_them(open_store: OpenStore) -> None:
    here, there = await open_store(), await open_store()
    room = await talk(here)
    await there.append(Batch("r1", 1, 0, NOW, (sent(2, "theirs", BOB),)))
    appended = await here.append(Batch("r1", 1, 0, NOW, (sent(2, "ours"),)))
    messages = [(x.pos, x.message) for x in appended.events if isinstance(x, e.MessageCreated)]
    assert [(pos, body.text, body.n) for pos, body in messages if body] == [(2, "theirs", 1), (3, "ours", 2)]
    assert appended.results == (Written({"pos": 3, "at": NOW}),)
    room.room.apply_all(appended.events)
    assert room.room.pos == 3


@pytest.mark.parametrize(
    "command",
    [
        c.MemberMute(room="r1", user="bob"),
        c.MemberKick(room="r1", user="bob"),
        c.MemberBan(room="r1", user="bob"),
        c.RoomUpdate(room="r1", title="New"),
        c.MemberRole(room="r1", user="bob", role="moderator"),
        c.RoomClose(room="r1"),
    ],
)
async def test_a_restricting_event_that_the_decision_did_not_know_stops_it(
    open_store: OpenStore, command: c.Decided
) -> None:
    here, there = await open_store(), await open_store()
    room = await talk(here)
    await room.do(BOB, c.MemberJoin(room="r1"))
    base = room.room.pos
    loaded = await there.load("r1")
    assert loaded is not None
    await Talk(there, loaded.room).do(ANN, command)
    appended = await here.append(Batch("r1", base, 0, NOW, (sent(base + 1), sent(base + 2))))
    assert appended.results == (NotTried(), NotTried())
    assert [event.pos for event in appended.events] == [base + 1]
    assert isinstance(appended.events[0], e.Event)
    assert (await log(here))[-1].pos == base + 1


async def test_a_restricting_event_that_was_known_stops_nothing(store: Store, room: Talk) -> None:
    await room.do(ANN, c.RoomUpdate(room="r1", title="New"))
    await room.send(ANN, "hello")
    appended = await store.append(Batch("r1", 2, 2, NOW, (sent(3, "later", n=2),)))
    assert appended.results == (Written({"pos": 4, "at": NOW}),)


async def test_a_position_given_provisionally_to_another_event_is_not_taken_for_it(
    open_store: OpenStore,
) -> None:
    here, there = await open_store(), await open_store()
    await talk(here)
    await there.append(Batch("r1", 1, 0, NOW, (sent(2, "theirs", BOB),)))
    reacted = e.MessageReacted(room="r1", pos=3, at=NOW, by=message("r1", 1).by, target=2, emoji="👍")
    batch = Batch("r1", 1, 0, NOW, (sent(2, "ours"), Proposal((reacted,), (), None, {}, True, False)))
    appended = await here.append(batch)
    assert appended.results == (Written({"pos": 3, "at": NOW}), NotTried())
    page = await here.find("r1", messages=[2, 3])
    assert all(found is not None and found.reactions == () for found in page.messages.values())


async def test_a_room_is_made_once(store: Store, room: Talk) -> None:
    first = (await log(store))[0]
    again = Batch("r1", 0, 0, NOW, (Proposal((first,), (), None, {}, False, False), sent(2)))
    assert (await store.append(again)).results == (Refused(None), NotTried())
    assert len(await log(store)) == 1


async def test_nothing_is_appended_to_a_room_that_is_not_there(store: Store) -> None:
    appended = await store.append(Batch("nowhere", 0, 0, NOW, (sent(1, room="nowhere"),)))
    assert (appended.events, appended.results) == ((), (NotTried(),))


async def test_a_base_above_the_log_is_not_tried(store: Store, room: Talk) -> None:
    assert (await store.append(Batch("r1", 7, 0, NOW, (sent(8),)))).results == (NotTried(),)
    assert len(await log(store)) == 1


async def test_two_nodes_make_a_room_at_once(open_store: OpenStore) -> None:
    here, there = await open_store(), await open_store()
    made = (await talk(here, "model")).room
    event = (await here.events("model", after=0, to=1, limit=1))[0]
    assert isinstance(event, e.RoomCreated)
    new = msgspec.structs.replace(event, room="new", room_info=msgspec.structs.replace(made.info(), id="new"))
    batch = Batch("new", 0, 0, NOW, (Proposal((new,), (), None, {}, False, False),))
    results = [x.results[0] for x in await asyncio.gather(here.append(batch), there.append(batch))]
    assert sorted(map(str, results)) == [str(Refused(None)), str(Written({}))]
    loads = [await store.load("new") for store in (here, there)]
    assert loads[0] is not None
    assert loads[1] is not None
    assert loads[0].epoch == loads[1].epoch


# Keys


async def test_a_key_acts_once_and_its_first_reply_comes_again(store: Store, room: Talk) -> None:
    first = await store.append(Batch("r1", 1, 0, NOW, (sent(2, key=claim("k")),)))
    assert first.results == (Written({"pos": 2, "at": NOW}),)
    again = await store.append(Batch("r1", 2, 0, NOW + 9, (sent(3, key=claim("k")), sent(4))))
    assert again.results == (Duplicate({"pos": 2, "at": NOW}), NotTried())
    assert await store.duplicate(claim("k")) == Duplicate({"pos": 2, "at": NOW})
    assert len(await log(store)) == 2


async def test_a_key_with_another_body_is_reused(store: Store, room: Talk) -> None:
    await store.append(Batch("r1", 1, 0, NOW, (sent(2, key=claim("k")),)))
    again = await store.append(Batch("r1", 2, 0, NOW, (sent(3, key=claim("k", b"other")),)))
    assert again.results == (KeyReused(),)
    assert await store.duplicate(claim("k", b"other")) == KeyReused()
    assert await store.duplicate(claim("new")) is None


@pytest.mark.parametrize("count", [1, 2, 31, 32, 33, 100])
async def test_a_batch_of_any_size_is_written_whole(store: Store, room: Talk, count: int) -> None:
    said = [f"text {i}" for i in range(count)]
    batch = Batch("r1", 1, 0, NOW, tuple(sent(2 + i, text, key=claim(text), n=1 + i) for i, text in enumerate(said)))
    appended = await store.append(batch)
    assert appended.results == tuple(Written({"pos": 2 + i, "at": NOW}) for i in range(count))
    assert await texts(store) == said
    assert [await store.duplicate(claim(text)) for text in said] == [
        Duplicate({"pos": 2 + i, "at": NOW}) for i in range(count)
    ]


async def test_a_key_acts_once_within_a_batch(store: Store, room: Talk) -> None:
    proposals = (sent(2, "a", key=claim("k")), sent(3, "b", key=claim("l")), sent(4, "c", key=claim("k")))
    appended = await store.append(Batch("r1", 1, 0, NOW, proposals))
    assert appended.results == (*(Written({"pos": pos, "at": NOW}) for pos in (2, 3)), Duplicate({"pos": 2, "at": NOW}))
    assert await texts(store) == ["a", "b"]


async def test_a_key_acts_once_in_a_batch_with_conditions(store: Store, room: Talk) -> None:
    """Some commands of a batch have effects that may be refused, others none; they may name the same key."""
    spaced = replace(sent(3, "b", key=claim("k")), effects=(SpaceMessages("ann", NOW, 0),))
    batch = Batch("r1", 1, 0, NOW, (spaced, sent(3, "c", key=claim("l")), sent(4, "d", key=claim("k"))))
    appended = await store.append(batch)
    assert [type(result) for result in appended.results] == [Written, Written, Duplicate]
    assert await texts(store) == ["b", "c"]


async def test_claimed_and_free_keys_share_a_batch(store: Store, room: Talk) -> None:
    await store.append(Batch("r1", 1, 0, NOW, (sent(2, "a", key=claim("k")),)))
    proposals = (sent(3, "b", key=claim("l")), sent(4, "c", key=claim("k", b"other")), sent(5, "d", key=claim("m")))
    appended = await store.append(Batch("r1", 2, 0, NOW, proposals))
    assert appended.results == (Written({"pos": 3, "at": NOW}), KeyReused(), NotTried())
    assert await store.duplicate(claim("m")) is None


async def test_keys_race_and_one_wins(open_store: OpenStore) -> None:
    nodes = [await open_store(), await open_store()]
    await talk(nodes[0])
    batches = [Batch("r1", 1, 0, NOW, (sent(2, str(i), key=claim("k")),)) for i in range(8)]
    appended = await asyncio.gather(*(nodes[i % 2].append(batch) for i, batch in enumerate(batches)))
    results = [x.results[0] for x in appended]
    assert results.count(Written({"pos": 2, "at": NOW})) == 1
    assert results.count(Duplicate({"pos": 2, "at": NOW})) == 7
    assert len(await texts(nodes[0])) == 1


async def test_keys_that_name_no_room_race_across_rooms(open_store: OpenStore) -> None:
    nodes = [await open_store(), await open_store()]
    names = [f"room{i}" for i in range(8)]
    for name in names:
        await talk(nodes[0], name)

    def keyed(name: str, key: str, pos: int) -> Proposal:
        return sent(pos, key, key=KeyClaim("ann", "", key, b"body"), room=name, n=pos - 1)

    batches = [Batch(name, 1, 0, NOW, (keyed(name, "k", 2), keyed(name, "l", 3))) for name in names]
    appended = await asyncio.gather(*(nodes[i % 2].append(batch) for i, batch in enumerate(batches)))
    results = [one.results for one in appended]
    assert results.count((Written({"pos": 2, "at": NOW}), Written({"pos": 3, "at": NOW}))) == 1
    assert results.count((Duplicate({"pos": 2, "at": NOW}), NotTried())) == 7


async def test_a_refused_proposal_leaves_no_key(store: Store, room: Talk) -> None:
    refused = Proposal((message("r1", 2),), (TakePending("none", "bob", "denied"),), claim("k"), {}, True, True)
    assert (await store.append(Batch("r1", 1, 0, NOW, (refused,)))).results == (
        Refused(TakePending("none", "bob", "denied")),
    )
    assert await store.duplicate(claim("k")) is None
    assert len(await log(store)) == 1


async def test_a_repeated_room_create_gets_its_first_reply(store: Store) -> None:
    room = Talk(store, Room("r9"))
    key = KeyClaim("ann", "", "k", b"b")
    root = Actor(user="ann", name="Ann", admin=True)
    create = c.RoomCreate(kind="group", title="T", visibility="public", room="r9")
    decision = await room.decided(root, create)
    proposals = (Proposal(decision.events, (), key, decision.reply, False, False),)
    first = await store.append(Batch("r9", 0, 0, NOW, proposals))
    again = await store.append(Batch("r9", 0, 0, NOW, proposals))
    assert isinstance(first.results[0], Written)
    assert again.results == (Duplicate(msgspec.to_builtins(first.results[0].reply)),)


async def test_forgotten_keys_act_again(store: Store, room: Talk) -> None:
    await store.append(Batch("r1", 1, 0, NOW, (sent(2, key=claim("old")),)))
    await store.append(Batch("r1", 2, 0, NOW + 10, (sent(3, key=claim("new")),)))
    await store.forget_keys(NOW + 10)
    assert await store.duplicate(claim("old")) is None
    assert await store.duplicate(claim("new")) == Duplicate({"pos": 3, "at": NOW})


# Atomicity


async def test_what_precedes_a_failed_condition_is_written_and_what_follows_is_not_tried(
    store: Store, room: Talk
) -> None:
    fails = Proposal(
        (message("r1", 3, BOB, n=2),),
        (SpaceMessages("bob", NOW, 0), TakePending("none", "bob", "denied")),
        None,
        {},
        True,
        True,
    )
    appended = await store.append(Batch("r1", 1, 0, NOW, (sent(2, "kept"), fails, sent(4, n=3))))
    assert appended.results == (
        Written({"pos": 2, "at": NOW}),
        Refused(TakePending("none", "bob", "denied")),
        NotTried(),
    )
    assert [event.pos for event in appended.events] == [2]
    assert await texts(store) == ["kept"]
    assert (await store.find("r1", people=["bob"])).people == {"bob": None}
    assert [record.user for _, record in await store.outbox(10)] == ["ann", "ann"]


async def test_appends_to_many_rooms_at_once_all_stand(store: Store) -> None:
    names = [f"room{i}" for i in range(8)]
    for name in names:
        await talk(store, name)
    await asyncio.gather(
        *(store.append(Batch(name, 1, 0, NOW, tuple(sent(2 + i, f"{name} {i}", room=name, n=i + 1) for i in range(5))))
          for name in names)
    )  # fmt: skip
    for name in names:
        assert [event.pos for event in await log(store, name)] == [1, 2, 3, 4, 5, 6]
        assert await texts(store, name) == [f"{name} {i}" for i in range(5)]


async def test_batches_of_many_rooms_are_written_in_order(store: Store) -> None:
    names = [f"room{i}" for i in range(8)]
    for name in names:
        await talk(store, name)
    first = [Batch(name, 1, 0, NOW, (sent(2, f"{name} a", room=name),)) for name in names]
    then = [Batch(name, 2, 0, NOW, (sent(3, f"{name} b", room=name, n=2),)) for name in names]
    appended = await store.append_all(first + then)
    assert [x.results for x in appended if isinstance(x, Appended)] == [
        (Written({"pos": pos, "at": NOW}),) for pos in [2] * 8 + [3] * 8
    ]
    for name in names:
        assert await texts(store, name) == [f"{name} a", f"{name} b"]


async def test_a_batch_that_is_not_written_harms_no_other_of_those_with_it(store: Store, room: Talk) -> None:
    await talk(store, "r2")
    appended = await store.append_all(
        [
            Batch("nowhere", 0, 0, NOW, (sent(1, room="nowhere"),)),
            Batch("r1", 1, 0, NOW, (sent(2, "kept", key=claim("k")), sent(3, key=claim("k", b"other")), sent(4))),
            Batch("r2", 1, 0, NOW, (sent(2, "kept too", room="r2"),)),
        ]
    )
    assert [x.results for x in appended if isinstance(x, Appended)] == [
        (NotTried(),),
        (Written({"pos": 2, "at": NOW}), KeyReused(), NotTried()),
        (Written({"pos": 2, "at": NOW}),),
    ]
    assert (await texts(store), await texts(store, "r2")) == (["kept"], ["kept too"])


async def test_a_batch_that_fails_by_its_own_fault_fails_alone(store: Store, room: Talk) -> None:
    await talk(store, "r2")
    await talk(store, "r3")
    textless = replace(message("r2", 3), message=None)
    bad = Batch("r2", 1, 0, NOW, (sent(2, room="r2"), Proposal((textless,), (), None, {}, True, True)))
    first, failed, last = await store.append_all(
        [
            Batch("r1", 1, 0, NOW, (sent(2, "first"),)),
            bad,
            Batch("r3", 1, 0, NOW, (sent(2, "last", room="r3"),)),
        ]
    )
    assert isinstance(failed, ValueError)
    assert isinstance(first, Appended)
    assert isinstance(last, Appended)
    assert first.results == last.results == (Written({"pos": 2, "at": NOW}),)
    assert [await texts(store, name) for name in ("r1", "r2", "r3")] == [["first"], [], ["last"]]
    assert [type(x) for x in await store.append_all([bad])] == [ValueError]
    assert await store.append_all([]) == []


async def test_two_nodes_append_at_once_without_a_hole(open_store: OpenStore) -> None:
    nodes = [await open_store(), await open_store()]
    await talk(nodes[0])

    async def senders(store: Store, name: str) -> list[int]:
        given = []
        for i in range(20):
            appended = await store.append(Batch("r1", 1, 0, NOW, (sent(2, f"{name}{i}"),)))
            assert isinstance(appended.results[0], Written)
            given.append(appended.results[0].reply["pos"])
            assert [event.pos for event in appended.events] == list(range(2, given[-1] + 1))
        return given

    given = await asyncio.gather(senders(nodes[0], "a"), senders(nodes[1], "b"))
    assert sorted(given[0] + given[1]) == list(range(2, 42))
    events = await log(nodes[0])
    assert [event.pos for event in events] == list(range(1, 42))
    assert [x.message.n for x in events if isinstance(x, e.MessageCreated) and x.message] == list(range(1, 41))


async def test_all_stands_after_opening_again(open_store: OpenStore) -> None:
    first = await open_store()
    room = await talk(first)
    pos = await room.send(ANN, "kept @bob", reply_to=None)
    await room.do(BOB, c.MemberJoin(room="r1"))
    await room.send(BOB, "answer", reply_to=pos)
    before = await log(first)
    loaded = await first.load("r1")
    await first.close()
    second = await open_store()
    again = await second.load("r1")
    assert await log(second) == before
    assert loaded is not None
    assert again is not None
    assert (again.epoch, again.first_pos, again.room.pos) == (loaded.epoch, 1, room.room.pos)
    assert again.epoch.isalnum()
    assert len(again.epoch) == 16


# Events as they read now


async def test_events_are_bounded(store: Store, room: Talk) -> None:
    for i in range(5):
        await room.send(ANN, str(i))
    assert [x.pos for x in await store.events("r1", after=2, to=5, limit=10)] == [3, 4, 5]
    assert [x.pos for x in await store.events("r1", after=2, to=9, limit=2)] == [3, 4]
    assert await store.events("nowhere", after=0, to=9, limit=9) == []


async def test_events_show_the_present_text(store: Store, room: Talk) -> None:
    pos = await room.send(ANN, "first")
    answer = await room.send(ANN, "answer", reply_to=pos)
    await room.do(ANN, c.MessageEdit(room="r1", target=pos, text="second"))
    created, replied, edited = (await log(store))[1:]
    assert isinstance(created, e.MessageCreated)
    assert isinstance(edited, e.MessageEdited)
    assert isinstance(replied, e.MessageCreated)
    assert created.message == edited.message == e.Body(text="second", n=1, mentions=())
    assert replied.message is not None
    assert replied.message.reply_to == e.Quote(pos, created.by, "second")
    await room.do(ANN, c.MessageDelete(room="r1", target=pos))
    created, replied, edited, deleted = (await log(store))[1:]
    assert isinstance(created, e.MessageCreated)
    assert isinstance(edited, e.MessageEdited)
    assert isinstance(replied, e.MessageCreated)
    assert (created.message, created.deleted, edited.message, edited.deleted) == (None, True, None, True)
    assert replied.message is not None
    assert replied.message.reply_to == e.Quote(pos, deleted=True)
    assert (answer, deleted.pos) == (3, 5)


async def test_a_new_name_shows_on_old_events(store: Store, room: Talk) -> None:
    pos = await room.send(ANN, "hello")
    await room.do(BOB, c.MemberJoin(room="r1"))
    assert await store.save_profile("ann", "Anne", "https://a/a.png")
    await store.save_profile("bob", "Robert", None)
    created, sent_, joined = await log(store)
    assert (created.by.name, sent_.by.avatar) == ("Anne", "https://a/a.png")
    assert isinstance(joined, e.MemberJoined)
    assert (joined.by.name, joined.name) == ("Robert", "Robert")
    found = (await store.find("r1", people=["ann"], messages=[pos])).messages[pos]
    assert found is not None
    assert found.by.name == "Anne"


async def test_the_first_name_seen_stays_until_the_profile_changes(store: Store, room: Talk) -> None:
    await room.send(Actor(user="ann", name="Other"), "hello")
    profile = (await store.profiles(["ann"])).get("ann")
    assert profile is not None
    assert profile.name == "Ann"


# Records


async def test_records_stand_in_order_until_taken(store: Store, room: Talk) -> None:
    pos = await room.send(ANN, "hello")
    await room.do(BOB, c.MemberJoin(room="r1"))
    await room.send(BOB, "@ann yes", reply_to=pos)
    await room.do(BOB, c.MessageReact(room="r1", target=pos, emoji="👍"))
    await room.do(ANN, c.MessagePin(room="r1", target=pos))
    await room.do(ANN, c.MessageDelete(room="r1", target=pos))
    records = await store.outbox(100)
    assert [(record.kind, record.user, record.to) for _, record in records] == [
        ("room", "ann", None), ("message", "ann", None), ("join", "bob", None), ("message", "bob", None),
        ("reply", "bob", "ann"), ("mention", "bob", "ann"), ("react", "bob", "ann"), ("pin", "ann", "ann"),
        ("delete", "ann", "ann"),
    ]  # fmt: skip
    assert len({record.id for _, record in records}) == len(records)
    numbers = [number for number, _ in records]
    assert numbers == sorted(numbers)
    await store.taken(numbers[1])
    assert [record.kind for _, record in await store.outbox(2)][:2] == ["join", "message"]


async def test_many_records_of_one_batch_are_read_and_taken_piece_by_piece(store: Store, room: Talk) -> None:
    await store.append(Batch("r1", 1, 0, NOW, tuple(sent(2 + i, n=1 + i) for i in range(700))))
    positions: list[int | None] = []
    while some := await store.outbox(10):
        assert len(some) < 700
        positions += [record.pos for _, record in some]
        await store.taken(some[-1][0])
    assert positions == list(range(1, 702))


async def test_a_refused_proposal_leaves_no_record(store: Store, room: Talk) -> None:
    report = AddReport(Report(id="id", room="r1", by="bob", at=NOW, reason="spam", user="ann"))
    refused = Proposal((), (report, TakePending("none", "bob", "denied")), None, {}, False, False)
    kept = Proposal((), (report,), None, {}, False, False)
    for proposal in (refused, kept):
        await store.append(Batch("r1", 1, 0, NOW, (proposal,)))
    assert [record.kind for _, record in await store.outbox(10)] == ["room", "report"]
