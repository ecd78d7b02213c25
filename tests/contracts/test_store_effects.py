"""What commands change beside the log, and the conditions that must still hold when they are written."""

import asyncio

import pytest

from realtime.ports import NotTried, Proposal, Refused, Span, Store, Written
from rooms import commands as c
from rooms import effects as x
from rooms.ids import Millis
from tests.contracts.conftest import OpenStore
from tests.realtime.stores.building import ANN, BOB, CAT, NOW, Talk, batch, message, talk


async def take(room: Talk, effect: x.Effect) -> bool:
    """Appends a proposal of this one effect; whether its condition held."""
    appended = await room.append([Proposal((), (effect,), None, {}, False, False)])
    result = appended.results[0]
    assert result in (Written({}), Refused(effect))
    return isinstance(result, Written)


def invite(code: str = "code", uses: int | None = None, until: Millis | None = None) -> x.AddInvite:
    return x.AddInvite(x.Invite(code, "r1", "ann", uses, until))


def waiting(name: str, *, author: str = "bob", release_at: Millis | None = None, room: str = "r1") -> x.Pending:
    return x.Pending(
        id=name,
        room=room,
        kind="held" if release_at is None else "delayed",
        actor=BOB if author == "bob" else CAT,
        at=NOW,
        text=f"text of {name}",
        reply_to=3,
        release_at=release_at,
        rule="rule",
    )


async def test_an_invite_is_used_up(store: Store, room: Talk) -> None:
    assert await take(room, invite(uses=2))
    assert await store.invite_room("code") == "r1"
    assert await store.invite_room("other") is None
    assert [await take(room, x.UseInvite("code", NOW)) for _ in range(3)] == [True, True, False]
    assert (await store.find("r1", invite="code")).invite == x.Invite("code", "r1", "ann", 0, None)
    assert await store.invites("r1", NOW) == []


async def test_an_invite_without_a_bound_stays(store: Store, room: Talk) -> None:
    await take(room, invite())
    assert all([await take(room, x.UseInvite("code", NOW)) for _ in range(3)])
    assert await store.invites("r1", NOW) == [x.Invite("code", "r1", "ann", None, None)]


async def test_an_invite_ends(store: Store, room: Talk) -> None:
    await take(room, invite(until=NOW + 10))
    assert await take(room, x.UseInvite("code", NOW + 9))
    assert not await take(room, x.UseInvite("code", NOW + 10))
    assert len(await store.invites("r1", NOW + 9)) == 1
    assert await store.invites("r1", NOW + 10) == []


async def test_an_invite_is_revoked_once(store: Store, room: Talk) -> None:
    await take(room, invite())
    assert await take(room, x.RevokeInvite("code"))
    assert not await take(room, x.RevokeInvite("code"))
    assert not await take(room, x.UseInvite("code", NOW))
    assert await store.invite_room("code") is None


async def test_an_invite_belongs_to_its_room(store: Store, room: Talk) -> None:
    other = await talk(store, "r2")
    await take(room, invite())
    assert not await take(other, x.UseInvite("code", NOW))
    assert not await take(other, x.RevokeInvite("code"))
    assert (await store.find("r2", invite="code")).invite is None


async def test_the_last_use_goes_to_one_of_two_nodes(open_store: OpenStore) -> None:
    nodes = [await open_store(), await open_store()]
    room = await talk(nodes[0])
    await take(room, invite(uses=1))
    use = Proposal((), (x.UseInvite("code", NOW),), None, {}, False, False)
    appended = await asyncio.gather(*(nodes[i % 2].append(batch(room.room, [use])) for i in range(6)))
    results = [one.results[0] for one in appended]
    assert results.count(Written({})) == 1
    assert results.count(Refused(use.effects[0])) == 5


async def test_messages_wait_up_to_a_bound(store: Store, room: Talk) -> None:
    assert await take(room, x.AddPending(waiting("p1"), 2))
    assert await take(room, x.AddPending(waiting("p2", author="cat", release_at=NOW + 5), 2))
    assert not await take(room, x.AddPending(waiting("p3"), 2))
    assert await store.pending("r1", None) == [waiting("p1"), waiting("p2", author="cat", release_at=NOW + 5)]
    assert await store.pending("r1", "cat") == [waiting("p2", author="cat", release_at=NOW + 5)]
    assert await store.pending("r2", None) == []
    assert (await store.find("r1", pending="p1")).pending == waiting("p1")
    assert (await store.find("r2", pending="p1")).pending is None


async def test_a_waiting_message_is_taken_once(store: Store, room: Talk) -> None:
    await take(room, x.AddPending(waiting("p1"), 9))
    assert await take(room, x.TakePending("p1", "bob", "denied"))
    assert not await take(room, x.TakePending("p1", "bob", "denied"))
    await take(room, x.AddPending(waiting("p2"), 9))
    assert await store.discard_pending("p2")
    assert not await store.discard_pending("p2")
    assert await store.pending("r1", None) == []


async def test_delayed_messages_fall_due_in_order(store: Store, room: Talk) -> None:
    for name, release_at in (("late", NOW + 9), ("second", NOW + 2), ("first", NOW + 1), ("held", None)):
        await take(room, x.AddPending(waiting(name, release_at=release_at), 9))
    assert [p.id for p in await store.due(NOW + 5, 9)] == ["first", "second"]
    assert [p.id for p in await store.due(NOW + 5, 1)] == ["first"]
    assert await store.due(NOW, 9) == []


async def test_release_publishes_and_takes_in_one_step(store: Store, room: Talk) -> None:
    await take(room, x.AddPending(waiting("p1"), 9))
    publish = Proposal((message("r1", 2, BOB, "out"),), (x.TakePending("p1", "bob", "released"),), None, {}, True, True)
    assert (await room.append([publish])).results == (Written({"pos": 2, "at": NOW}),)
    again = await room.append([publish, publish])
    assert again.results == (Refused(publish.effects[0]), NotTried())
    assert len(await store.events("r1", after=0, to=9, limit=9)) == 2


async def test_a_report_is_recorded(store: Store, room: Talk) -> None:
    report = x.Report(id="rep", room="r1", by="bob", at=NOW, reason="spam", target=1, user="ann", text="look")
    assert await take(room, x.AddReport(report))
    record = (await store.outbox(9))[-1][1]
    assert (record.kind, record.user, record.to, record.what, record.pos) == ("report", "bob", "ann", "spam", None)


@pytest.fixture
async def live(store: Store) -> Talk:
    room = await talk(store, kind="live")
    await room.send(BOB, "look")
    return room


async def shown(store: Store, room: str, viewer: str) -> list[tuple[str, int, bool]]:
    (listed,) = (await store.messages(room, viewer, Span(), originals=False)).messages
    assert isinstance(listed.reactions, tuple)
    return [(r.emoji, r.count, r.mine) for r in listed.reactions]


async def test_reactions_beside_the_log(store: Store, live: Talk) -> None:
    for user, emoji in (("ann", "👍"), ("bob", "🎉"), ("bob", "👍"), ("bob", "👍")):
        assert await take(live, x.React(2, user, emoji, True, 20))
    assert await shown(store, "r1", "ann") == [("👍", 2, True), ("🎉", 1, False)]
    assert list((await store.reactions("r1", 2)).items()) == [("👍", 2), ("🎉", 1)]
    assert await store.reactions("r1", 1) == await store.reactions("nowhere", 2) == {}
    assert await take(live, x.React(2, "ann", "👍", False, 20))
    assert await take(live, x.React(2, "ann", "👍", False, 20))
    assert await shown(store, "r1", "ann") == [("👍", 1, False), ("🎉", 1, False)]
    loaded = await store.load("r1")
    assert loaded is not None
    assert loaded.room.pos == live.room.pos == 2


async def test_kinds_of_reaction_are_bounded(store: Store, live: Talk) -> None:
    assert await take(live, x.React(2, "ann", "👍", True, 2))
    assert await take(live, x.React(2, "ann", "🎉", True, 2))
    assert not await take(live, x.React(2, "ann", "🚀", True, 2))
    assert await take(live, x.React(2, "bob", "👍", True, 2))


async def test_deleted_and_absent_messages_take_no_reaction(store: Store, live: Talk) -> None:
    await take(live, x.React(2, "ann", "👍", True, 2))
    await live.do(BOB, c.MessageDelete(room="r1", target=2))
    assert not await take(live, x.React(2, "ann", "👍", True, 2))
    assert not await take(live, x.React(99, "ann", "👍", True, 2))


async def test_messages_keep_their_distance(store: Store, room: Talk) -> None:
    assert await take(room, x.SpaceMessages("bob", NOW, 1_000))
    assert not await take(room, x.SpaceMessages("bob", NOW + 999, 1_000))
    assert await take(room, x.SpaceMessages("cat", NOW + 999, 1_000))
    assert await take(room, x.SpaceMessages("bob", NOW + 1_000, 1_000))
    assert await take(room, x.SpaceMessages("bob", NOW + 1_000, 0))
    person = (await store.find("r1", people=["bob"])).people["bob"]
    assert person is not None
    assert person.last_at == NOW + 1_000


async def test_the_distance_counts_from_messages_sent(store: Store, room: Talk) -> None:
    await room.send(ANN, "hello")
    assert not await take(room, x.SpaceMessages("ann", room.now + 1, 60_000))


async def test_distance_within_one_batch(store: Store, room: Talk) -> None:
    def spaced(pos: int, at: Millis) -> Proposal:
        return Proposal(
            (message("r1", pos, BOB, n=pos - 1),), (x.SpaceMessages("bob", at, 500),), None, {}, True, False
        )

    appended = await room.append([spaced(2, NOW), spaced(3, NOW + 1)])
    assert isinstance(appended.results[0], Written)
    assert appended.results[1] == Refused(x.SpaceMessages("bob", NOW + 1, 500))


async def test_a_text_is_said_once_within_its_time(store: Store, room: Talk) -> None:
    assert await take(room, x.NoRepeat("bob", b"one", NOW, 1_000))
    assert not await take(room, x.NoRepeat("bob", b"one", NOW + 999, 1_000))
    assert await take(room, x.NoRepeat("bob", b"two", NOW + 999, 1_000))
    assert await take(room, x.NoRepeat("cat", b"one", NOW + 999, 1_000))
    assert await take(room, x.NoRepeat("bob", b"one", NOW + 1_000, 1_000))
    assert not await take(room, x.NoRepeat("bob", b"two", NOW + 1_000, 1_000))
    await store.forget_keys(NOW + 1_001)
    assert await take(room, x.NoRepeat("bob", b"one", NOW + 1_001, 1_000))


async def test_a_room_keeps_an_owner(store: Store, room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    assert not await take(room, x.KeepOwner("ann"))
    await room.do(ANN, c.MemberRole(room="r1", user="bob", role="owner"))
    assert await take(room, x.KeepOwner("ann"))
    assert await take(room, x.KeepOwner("bob"))


async def test_of_two_last_owners_leaving_on_two_nodes_one_stays(open_store: OpenStore) -> None:
    nodes = [await open_store(), await open_store()]
    here = await talk(nodes[0])
    await here.do(BOB, c.MemberJoin(room="r1"))
    await here.do(ANN, c.MemberRole(room="r1", user="bob", role="owner"))
    decisions = [await here.decided(who, c.MemberLeave(room="r1")) for who in (ANN, BOB)]
    batches = [batch(here.room, [Proposal(d.events, d.effects, None, d.reply, d.pos, d.timed)]) for d in decisions]
    appended = await asyncio.gather(*(node.append(b) for node, b in zip(nodes, batches, strict=True)))
    assert sorted(type(one.results[0]).__name__ for one in appended) == ["Refused", "Written"]
    assert len(await nodes[0].members("r1", role="owner", after=None, limit=9)) == 1
