"""Live streams beside the log: who publishes, stream keys, destinations, recordings."""

import asyncio

import pytest
from msgspec.structs import replace

from realtime.ports import Refused, Store, Written
from realtime.ports.lives import StoredDestination, StreamKey
from rooms import commands as c
from rooms import events as e
from rooms.actors import By
from rooms.decide import Decision
from rooms.effects import Effect, HideRecordings, Recording, SaveStream
from rooms.live import Live, Stream
from tests.contracts.conftest import OpenStore
from tests.realtime.stores.building import ANN, BOB, NOW, Talk, proposal, talk

FLOWING = Stream(
    state="flowing", user="ann", session="s", fence=1, node="n", process="p", started_at=NOW, until=NOW + 5, title="T",
    category="C", mature=True,
)  # fmt: skip


def event(room: Talk, kind: type[e.LiveEvent], **fields: object) -> e.LiveEvent:
    head = {"room": "r1", "pos": room.room.pos + 1, "at": NOW, "by": By("ann", "Ann", "owner")}
    return kind(**head, **fields)  # type: ignore[arg-type]  # of each kind


async def save(room: Talk, stream: Stream, *events: e.LiveEvent, also: Effect | None = None) -> Written | Refused:
    effects = (SaveStream(stream), *([] if also is None else [also]))
    decision = Decision(events=events, effects=effects, pos=False)  # type: ignore[arg-type]  # all kinds of LiveEvent are Logged
    result = (await room.append([proposal(decision)])).results[0]
    assert isinstance(result, Written | Refused)
    return result


async def started(room: Talk, session: str = "s") -> None:
    media = e.Media("whep", "stream", "hls")
    begun = event(room, e.LiveStarted, session=session, title="T", category="C", mature=True, media=media)
    known = await room.store.stream("r1")
    assert isinstance(await save(room, replace(FLOWING, session=session, version=known.version), begun), Written)


async def test_a_stream_is_saved_by_who_knows_its_version(store: Store, room: Talk) -> None:
    assert await store.stream("r1") == Stream()
    assert isinstance(await save(room, FLOWING), Written)
    assert await store.stream("r1") == replace(FLOWING, version=1)
    assert await save(room, FLOWING) == Refused(SaveStream(FLOWING))
    later = replace(FLOWING, version=1, fence=2)
    assert isinstance(await save(room, later), Written)
    assert isinstance(await save(room, later), Refused)
    assert (await store.find("r1", stream=True)).stream == replace(later, version=2)


async def test_of_two_nodes_one_saves(open_store: OpenStore) -> None:
    one, other = await open_store(), await open_store()
    here = await talk(one)
    loaded = await other.load("r1")
    assert loaded is not None
    there = Talk(other, loaded.room)
    results = await asyncio.gather(save(here, FLOWING), save(there, replace(FLOWING, user="bob")))
    assert sorted(type(result).__name__ for result in results) == ["Refused", "Written"]


async def test_a_live_follows_from_the_log(store: Store, room: Talk) -> None:
    await started(room)
    live = Live(session="s", title="T", category="C", mature=True, since=NOW)
    for change, expected in (
        (event(room, e.LiveInterrupted), replace(live, interrupted=NOW)),
        (event(room, e.LiveResumed), live),
        (event(room, e.LiveUpdated, title="U"), replace(live, title="U", category=None, mature=False)),
        (event(room, e.LiveStopped, reason="gone"), None),
    ):
        known = await store.stream("r1")
        await save(room, known, replace(change, pos=room.room.pos + 1))
        loaded = await store.load("r1")
        assert loaded is not None
        assert loaded.room.live == room.room.live == expected
        rooms, _ = await store.rooms(
            "ann", mine=False, everything=False, kind=None, popular=False, cursor=None, limit=9
        )
        assert rooms[0].live is None, "a group has none"
    found = await store.live("r1", "s")
    assert found is not None
    assert (found[0].title, found[1]) == ("U", False)
    assert await store.live("r1", "other") is None


async def test_rooms_show_what_is_live(store: Store) -> None:
    room = await talk(store, kind="live")
    await started(room)
    rooms, _ = await store.rooms("bob", mine=False, everything=False, kind="live", popular=False, cursor=None, limit=9)
    assert rooms[0].live == room.room.live is not None


async def test_who_loses_the_right_ends_their_stream(store: Store, room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    await room.do(ANN, c.MemberRole(room="r1", user="bob", role="owner"))
    root = replace(ANN, user="root", admin=True)
    for command, reason in (
        (c.MemberRole(room="r1", user="ann", role="member"), "removed"),
        (c.MemberKick(room="r1", user="ann"), "removed"),
        (c.MemberBan(room="r1", user="ann"), "banned"),
        (c.RoomClose(room="r1"), "closed"),
    ):
        known = await store.stream("r1")
        await save(room, replace(FLOWING, version=known.version))
        await room.do(root, c.MemberMute(room="r1", user="bob"))
        assert (await store.stream("r1")).state == "flowing"
        await room.do(root, command)
        ended = await store.stream("r1")
        assert (ended.state, ended.reason, ended.until, ended.version) == ("ending", reason, 0, known.version + 2)
        assert await store.due_streams(0, 9) == [("r1", ended)]


@pytest.mark.parametrize("ending", [False, True])
async def test_what_a_ban_hides_no_stop_shows_again(store: Store, room: Talk, ending: bool) -> None:
    root = replace(ANN, user="root", admin=True)
    await room.do(BOB, c.MemberJoin(room="r1"))
    await room.do(ANN, c.MemberRole(room="r1", user="bob", role="owner"))
    await started(room)
    known = (await store.stream("r1")).version
    changed = {"state": "ending", "reason": "key_rotated", "until": 0} if ending else {}
    await save(room, replace(FLOWING, session="s", version=known, **changed))
    await room.do(root, c.MemberBan(room="r1", user="ann"))
    assert (await store.stream("r1")).reason == "banned"
    await room.do(root, c.LiveStop(room="r1"))
    ended = await store.stream("r1")
    assert (ended.state, ended.reason, ended.stopped) == ("idle", "banned", True)
    await store.add_recording(recording(1))
    assert [row.state for row in await store.recordings("r1", creator=None, everything=True, before=None, limit=9)] == [
        "hidden"
    ]


async def test_who_leaves_stops(store: Store, room: Talk) -> None:
    await room.do(BOB, c.MemberJoin(room="r1"))
    await room.do(ANN, c.MemberRole(room="r1", user="bob", role="owner"))
    await save(room, FLOWING)
    await room.do(ANN, c.MemberLeave(room="r1"))
    ended = await store.stream("r1")
    assert (ended.state, ended.reason, ended.until) == ("ending", "stopped", 0)


async def test_what_is_due_and_what_goes_on(store: Store, room: Talk) -> None:
    await save(room, FLOWING)
    assert await store.due_streams(NOW + 4, 9) == []
    assert [found for found, _ in await store.due_streams(NOW + 5, 9)] == ["r1"]
    for process, fences in (("q", {"r1": 1}), ("p", {"r1": 2}), ("p", {}), ("p", {"r2": 1})):
        await store.beat(process, fences, NOW + 9)
    assert [found for found, _ in await store.due_streams(NOW + 8, 9)] == ["r1"], "another publisher, or nobody"
    await store.beat("p", {"r1": 1, "r2": 1}, NOW + 9)
    assert await store.due_streams(NOW + 8, 9) == []
    assert (await store.stream("r1")).version == 1, "a beat is no change"
    assert [found for found, _ in await store.streams_of(processes=["p"])] == ["r1"]
    assert await store.streams_of(processes=["q"]) == await store.streams_of() == []
    assert [found for found, _ in await store.streams_of(user="ann")] == ["r1"]
    await save(room, replace(FLOWING, version=1, state="idle"))
    assert await store.streams_of(user="ann") == []


async def test_a_new_generation_of_a_key_ends_what_the_old_one_publishes(store: Store, room: Talk) -> None:
    first = StreamKey("r1", "ann", 1, b"one", kyc=True)
    assert await store.save_stream_key(first)
    await save(room, FLOWING)
    assert await store.save_stream_key(replace(first, granted=True))
    assert (await store.stream("r1")).state == "flowing"
    second = replace(first, generation=2, hash=b"two")
    assert await store.save_stream_key(second)
    assert (await store.stream("r1")).reason == "key_rotated"
    assert not await store.save_stream_key(first), "of an older generation"
    assert await store.save_stream_key(replace(second, hash=None)), "what is noted of a token alone"
    assert await store.stream_key("r1", "ann") == await store.key_holder(b"two") == second
    assert await store.key_holder(b"one") is None
    assert await store.stream_key("r1", "bob") is None


async def test_destinations(store: Store) -> None:
    first = StoredDestination("ann", "1", "B", "rtmp://b/live", b"secret", enabled=True)
    second = replace(first, id="2", name="A")
    assert await store.add_destination(first, 2)
    assert await store.add_destination(replace(first, id="9"), 2) is False
    assert await store.add_destination(second, 2)
    assert await store.add_destination(replace(first, id="3", name="C"), 2) is None
    assert await store.add_destination(replace(first, user="bob"), 2), "another's"
    assert await store.destinations("ann") == [second, first]
    assert await store.update_destination(replace(first, name="A")) is False
    assert await store.update_destination(replace(first, id="9", name="Z")) is None
    changed = replace(first, enabled=False, secret=b"other")
    assert await store.update_destination(changed)
    assert await store.remove_destination("ann", "2")
    assert not await store.remove_destination("ann", "2")
    assert await store.destinations("ann") == [changed]


def recording(number: int, **fields: object) -> Recording:
    whole = Recording(
        id=f"rec{number}", room="r1", user="ann", session="s", title="T", state="listed", started_at=number,
        length_ms=60_000, bytes=1_000, width=640, height=360, parts=3, folder=f"folder{number}", node="n", first_pos=2,
        last_pos=None,
    )  # fmt: skip
    return replace(whole, **fields)


async def test_recordings(store: Store, room: Talk) -> None:
    await started(room)
    some = [recording(1), recording(2, state="unlisted"), recording(3, user="bob", state="unlisted"), recording(4)]
    for one in [*some, some[0]]:
        await store.add_recording(one)
    ids = [one.id for one in await store.recordings("r1", creator="ann", everything=False, before=None, limit=9)]
    assert ids == ["rec4", "rec2", "rec1"]
    public = await store.recordings("r1", creator=None, everything=False, before=(4, "rec4"), limit=9)
    assert public == [some[0]]
    await room.do(ANN, c.RecordingUpdate(room="r1", recording="rec1", title="Best", listed=False))
    assert await store.recording("r1", "rec1") == recording(1, title="Best", state="unlisted")
    await room.do(ANN, c.RecordingDelete(room="r1", recording="rec1"))
    assert len(await store.recordings("r1", creator=None, everything=True, before=None, limit=9)) == 3
    await room.do(ANN, c.RecordingDelete(room="r1", recording="rec4"))
    for after, limit, ids in (("", 9, ["rec1", "rec4"]), ("", 1, ["rec1"]), ("rec1", 9, ["rec4"]), ("rec4", 9, [])):
        assert [one.id for one in await store.deleted_recordings("n", after=after, limit=limit)] == ids
    assert await store.deleted_recordings("elsewhere", after="", limit=9) == []
    await store.forget_recording("r1", "rec1")
    assert await store.recording("r1", "rec1") is None


@pytest.mark.parametrize("later", [False, True])
async def test_what_is_taken_down_is_hidden(store: Store, room: Talk, later: bool) -> None:
    await started(room)
    await store.add_recording(recording(1))
    stopped, hide = event(room, e.LiveStopped), HideRecordings("s")
    if later:
        await save(room, await store.stream("r1"), stopped)
        await save(room, await store.stream("r1"), also=hide)
    else:
        await save(room, await store.stream("r1"), stopped, also=hide)
    await store.add_recording(recording(2))
    rows = await store.recordings("r1", creator=None, everything=True, before=None, limit=9)
    assert [(row.id, row.state, row.last_pos) for row in rows] == [("rec2", "hidden", 3), ("rec1", "hidden", 3)]
    await started(room, "s2")
    await store.add_recording(recording(3, session="s2"))
    assert (await store.recording("r1", "rec3")) == recording(3, session="s2", first_pos=4)
