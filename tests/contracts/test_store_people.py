"""Who is in a room, what they have read, which rooms they see; and what deciding asks about them."""

import base64

import pytest
from msgspec import msgpack

from realtime.ports import Access, MemberRow, Profile, ReadState, RoomRow, Store
from rooms import commands as c
from rooms.actors import Actor, Role
from rooms.mentions import Named
from rooms.room import FOREVER, RECENT_MESSAGES, Person
from rooms.settings import SettingsPatch
from tests.realtime.stores.building import ANN, BOB, CAT, NOW, Talk, actor, talk

FORGED = ((-1, 1), (2**63, 1), (2**64 - 1, 1), (1, -1), (1, 2**63))
"""What no list has, and no database takes for a number."""


async def test_access(store: Store, room: Talk) -> None:
    await talk(store, "secret", visibility="private", kind="live")
    ann = Person(user="ann", name="Ann", role=Role.OWNER, joined_pos=1)
    asked = [(name, user) for name in ("r1", "secret", "nowhere") for user in ("ann", "bob")]
    assert await store.accesses(asked) == {
        ("r1", "ann"): Access("public", ann, 1),
        ("r1", "bob"): Access("public", None, 1),
        ("secret", "ann"): Access("private", ann, 1),
        ("secret", "bob"): Access("private", None, 1),
    }
    await room.send(ANN, "hello")
    assert (await store.accesses([("r1", "bob")])) == {("r1", "bob"): Access("public", None, 2)}
    assert await store.accesses([("nowhere", "bob")]) == {}


async def test_a_person_is_what_the_events_say(store: Store, room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    pos = room.room.pos
    await room.send(BOB, "hello")
    sent_at = room.now
    await room.do(ANN, c.MemberMute(room="r1", user="bob", seconds=60))
    muted_until = room.now + 60_000
    expected = Person(
        user="bob", name="Bob", role=Role.MEMBER, joined_pos=pos, last_at=sent_at, muted_until=muted_until
    )
    assert (await store.find("r1", people=["bob", "cat"])).people == {"bob": expected, "cat": None}
    await room.do(ANN, c.MemberBan(room="r1", user="bob"))
    (banned,) = (await store.find("r1", people=["bob"])).people.values()
    assert banned is not None
    assert (banned.role, banned.joined_pos, banned.banned_until) == (Role.NONE, 0, FOREVER)
    await room.do(ANN, c.MemberUnban(room="r1", user="bob"))
    assert (await store.find("r1", people=["bob"])).people["bob"] == room.room.people["bob"]


async def test_names_are_found_as_ids_and_folded(store: Store, room: Talk) -> None:
    twin = Actor(user="twin", name="BOB")
    for who in (BOB, twin, Actor(user="e1", name="Émile")):
        await room.do(who, c.MemberJoin(room="r1"))
    await talk(store, "r2", by=Actor(user="dan", name="Dan"))
    found = await store.find("r1", names=["bob", "ann", "Ann", "émile", "dan", "Dan", "x"])
    assert found.named == Named(frozenset({"bob", "ann"}), {"bob": None, "ann": "ann", "émile": "e1"})
    await room.do(BOB, c.MemberLeave(room="r1"))
    assert (await store.find("r1", names=["bob"])).named == Named(frozenset(), {"bob": "twin"})


async def test_in_live_rooms_names_are_those_of_all_who_wrote(store: Store) -> None:
    live = await talk(store, kind="live")
    await live.send(BOB, "hello")
    await live.do(ANN, c.MemberMute(room="r1", user="cat"))
    assert (await store.find("r1", names=["bob", "cat"])).named.ids == {"bob"}


async def test_purge_names_a_users_latest_messages(store: Store, room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    sent = [(await room.send(who, "hello"), room.now) for who in (BOB, ANN, BOB, BOB, BOB)]
    await room.do(BOB, c.MessageDelete(room="r1", target=sent[3][0]))
    found = await store.find("r1", purge=("bob", sent[2][1]), purge_limit=9)
    assert found.purge == (sent[4][0], sent[2][0])
    assert (await store.find("r1", purge=("bob", 0), purge_limit=2)).purge == (sent[4][0], sent[2][0])
    assert (await store.find("r1", purge=("bob", 0), purge_limit=9)).purge == (sent[4][0], sent[2][0], sent[0][0])


async def test_members_by_id(store: Store, room: Talk) -> None:
    for who in (CAT, BOB, actor("dan")):
        await room.do(who, c.MemberJoin(room="r1"))
    await room.do(actor("dan"), c.MemberLeave(room="r1"))
    await room.do(ANN, c.MemberRole(room="r1", user="cat", role="moderator"))
    await room.do(ANN, c.MemberMute(room="r1", user="bob"))
    ann, cat = MemberRow("ann", "Ann", "owner"), MemberRow("cat", "Cat", "moderator")
    bob = MemberRow("bob", "Bob", "member", muted_until=FOREVER)
    assert await store.members("r1", role=None, after=None, limit=9) == [ann, bob, cat]
    assert await store.members("r1", role=None, after="ann", limit=1) == [bob]
    assert await store.members("r1", role="moderator", after=None, limit=9) == [cat]
    assert await store.members("nowhere", role=None, after=None, limit=9) == []
    loaded = await store.load("r1")
    assert loaded is not None
    assert (loaded.room.members, loaded.room.staff) == (3, {"ann": Role.OWNER, "cat": Role.MODERATOR})


# What has been read


async def state(store: Store, user: str) -> tuple[int, int, int, int]:
    (it,) = await store.read_states([user], "r1")
    assert (it.room, it.user) == ("r1", user)
    return it.pos, it.n, it.mentions, it.total


async def test_reading(store: Store, room: Talk) -> None:
    await room.send(ANN, "before bob came")
    await room.do(BOB, c.MemberJoin(room="r1"))
    assert await state(store, "bob") == (3, 1, 0, 1)
    await room.send(ANN, "@bob one")
    await room.send(ANN, "@all two")
    await room.send(ANN, "@bob and @all three")
    assert await state(store, "bob") == (3, 1, 3, 4)
    assert await state(store, "ann") == (6, 4, 0, 4)
    await store.mark_read("bob", "r1", 4)
    assert await state(store, "bob") == (4, 2, 2, 4)
    await store.mark_read("bob", "r1", 2)
    assert await state(store, "bob") == (4, 2, 2, 4)
    await store.mark_read("bob", "r1", 1_000)
    assert await state(store, "bob") == (6, 4, 0, 4)
    assert await store.read_states(["bob"]) == [ReadState("r1", "bob", 6, 4, 0, 4)]
    other = await talk(store, "a room")
    await other.do(BOB, c.MemberJoin(room="a room"))
    states = await store.read_states(["bob", "nobody", "ann"])
    assert [(state.user, state.room) for state in states] == [
        ("ann", "a room"), ("ann", "r1"), ("bob", "a room"), ("bob", "r1"),
    ]  # fmt: skip
    assert states[3] == ReadState("r1", "bob", 6, 4, 0, 4)


async def test_sending_reads_and_deleting_takes_the_mention_along(store: Store, room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    first = await room.send(ANN, "@bob one")
    second = await room.send(ANN, "two")
    await room.do(ANN, c.MessageEdit(room="r1", target=second, text="@bob two"))
    assert await state(store, "bob") == (2, 0, 2, 2)
    await room.do(ANN, c.MessageDelete(room="r1", target=first))
    assert await state(store, "bob") == (2, 0, 1, 2)
    await room.do(ANN, c.MessageEdit(room="r1", target=second, text="two"))
    assert await state(store, "bob") == (2, 0, 0, 2)
    pos = await room.send(BOB, "@bob @ann")
    assert await state(store, "bob") == (pos, 3, 0, 3)
    assert await state(store, "ann") == (second, 2, 1, 3)


async def test_who_is_no_member_has_no_read_mark(store: Store, room: Talk) -> None:
    await store.mark_read("bob", "r1", 1)
    await store.mark_read("bob", "nowhere", 1)
    assert await store.read_states(["bob"]) == []
    assert await store.memberships("bob") == []
    await talk(store, "r0", by=BOB)
    await room.do(BOB, c.MemberJoin(room="r1"))
    assert await store.memberships("bob") == ["r0", "r1"]
    await room.do(ANN, c.MemberKick(room="r1", user="bob"))
    assert await store.memberships("bob") == ["r0"]


# Rooms


async def listed(
    store: Store,
    user: str = "bob",
    *,
    mine: bool = False,
    everything: bool = False,
    kind: str | None = None,
    popular: bool = False,
    limit: int = 50,
) -> list[str]:
    """Room ids, page by page, each page full but the last."""
    ids: list[str] = []
    cursor = None
    while True:
        rows, cursor = await store.rooms(
            user, mine=mine, everything=everything, kind=kind, popular=popular, cursor=cursor, limit=limit  # type: ignore[arg-type]  # a test's str
        )  # fmt: skip
        ids += [row.id for row in rows]
        if cursor is None:
            return ids
        assert len(rows) == limit


@pytest.fixture
async def some_rooms(store: Store) -> dict[str, Talk]:
    """Least recently active first: `pub`, `live`, `bobs` and `anns` (private), `shut` and `mine` (closed)."""
    rooms = {
        "pub": await talk(store, "pub"),
        "live": await talk(store, "live", kind="live"),
        "bobs": await talk(store, "bobs", by=BOB, visibility="private"),
        "anns": await talk(store, "anns", visibility="private"),
        "shut": await talk(store, "shut"),
        "mine": await talk(store, "mine", by=BOB),
    }
    for who in (BOB, CAT):
        await rooms["live"].do(who, c.MemberJoin(room="live"))
    for i, room in enumerate(rooms.values()):
        room.now = NOW + 60_000 * i
    for name in ("pub", "live", "bobs", "anns"):
        await rooms[name].send(BOB if name == "bobs" else ANN, "hello")
    await rooms["shut"].do(ANN, c.RoomClose(room="shut"))
    await rooms["mine"].do(BOB, c.RoomClose(room="mine"))
    return rooms


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
async def test_rooms_are_listed_in_order(store: Store, some_rooms: dict[str, Talk], limit: int) -> None:
    assert await listed(store, limit=limit) == ["mine", "bobs", "live", "pub"]
    assert await listed(store, mine=True, limit=limit) == ["mine", "bobs", "live"]
    assert await listed(store, "cat", limit=limit) == ["live", "pub"]
    assert await listed(store, "cat", everything=True, limit=limit) == ["mine", "shut", "anns", "bobs", "live", "pub"]
    assert await listed(store, kind="live", limit=limit) == ["live"]
    assert (await listed(store, popular=True, limit=limit))[0] == "live"
    assert sorted(await listed(store, popular=True, limit=limit)) == ["bobs", "live", "mine", "pub"]


async def test_a_listed_room(store: Store, some_rooms: dict[str, Talk]) -> None:
    live = some_rooms["live"]
    await live.do(ANN, c.RoomUpdate(room="live", title="New", settings=SettingsPatch(slow_seconds=5)))
    rows, cursor = await store.rooms("cat", mine=True, everything=False, kind=None, popular=False, cursor=None, limit=9)
    assert cursor is None
    assert rows == [
        RoomRow(
            id="live",
            kind="live",
            title="New",
            visibility="public",
            settings=live.room.settings,
            members=3,
            pos=live.room.pos,
            at=live.now,
            role="member",
        )
    ]
    assert rows[0].settings.slow_seconds == 5


async def test_a_cursor_is_of_its_list(store: Store, some_rooms: dict[str, Talk]) -> None:
    _, cursor = await store.rooms("bob", mine=False, everything=False, kind=None, popular=True, cursor=None, limit=1)
    forged = [base64.urlsafe_b64encode(msgpack.encode((False, value, num))).decode() for value, num in FORGED]
    for bad in (cursor, "", "!", "é", "AAAA", "a" * 200, *forged):
        with pytest.raises(ValueError, match="cursor"):
            await store.rooms("bob", mine=False, everything=False, kind=None, popular=False, cursor=bad, limit=1)


# Profiles


async def test_profiles(store: Store, room: Talk) -> None:
    assert (await store.profiles(["ann"])).get("ann") == Profile("ann", "Ann", None, 0)
    assert (await store.profiles(["nobody"])).get("nobody") is None
    assert not await store.save_profile("ann", "Ann", None)
    assert await store.save_profile("ann", "Ann", "a.png")
    assert await store.save_profile("ann", "Anna", "a.png")
    assert await store.save_profile("new", "New", None)
    assert (await store.profiles(["ann"])).get("ann") == Profile("ann", "Anna", "a.png", 0)
    assert (await store.profiles(["new"])).get("new") == Profile("new", "New", None, 0)
    assert (await store.find("r1", names=["anna", "ann"])).named == Named(frozenset({"ann"}), {"anna": "ann"})


async def test_logging_out_everywhere(store: Store, room: Talk) -> None:
    await store.log_out("ann", 50)
    await store.log_out("ann", 40)
    assert (await store.profiles(["ann"])).get("ann") == Profile("ann", "Ann", None, 50)
    await store.log_out("unseen", 7)
    assert (await store.profiles(["unseen"])).get("unseen") == Profile("unseen", "unseen", None, 7)
    await store.save_profile("unseen", "Seen", None)
    assert (await store.profiles(["unseen"])).get("unseen") == Profile("unseen", "Seen", None, 7)


# Loading


async def test_a_small_room_is_loaded_whole(store: Store, room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    pos = await room.send(BOB, "hello")
    await room.do(ANN, c.MessagePin(room="r1", target=pos))
    await room.do(ANN, c.MessageReact(room="r1", target=pos, emoji="👍"))
    await room.do(ANN, c.RoomUpdate(room="r1", title="T", settings=SettingsPatch(locked=True)))
    loaded = await store.load("r1")
    assert loaded is not None
    assert {name: getattr(loaded.room, name) for name in room.room.__slots__} == {
        name: getattr(room.room, name) for name in room.room.__slots__
    }
    assert await store.load("nowhere") is None


async def test_a_large_room_is_loaded_in_part(store: Store, room: Talk) -> None:
    for i in range(60):
        await room.send(ANN, str(i))
    loaded = await store.load("r1")
    assert loaded is not None
    assert not loaded.room.whole
    assert list(loaded.room.messages) == list(range(62 - RECENT_MESSAGES, 62))
    assert loaded.room.n == 60
