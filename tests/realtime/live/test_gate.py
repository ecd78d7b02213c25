"""Publishers come, flow, go and come back; what the log then says, and what media processes are told."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from relay.ports import Claim, Refused
from rooms import commands as c
from rooms.decide import Limits
from rooms.errors import Rejected
from rooms.events import LiveStarted
from rooms.live import Stream
from tests.realtime.live.stage import BOB, OWNER, ROOM, ROOT, Stage, flow, running, until


async def test_a_key_has_full_addresses_and_is_always_the_same(stage: Stage) -> None:
    reply = await stage.do(OWNER, c.LiveKey(room=ROOM))
    assert reply["whip"] == "http://chat.example.com:8080/v1/rooms/r1/whip"
    assert reply["rtmp"] == "rtmp://chat.example.com/live"
    assert await stage.do(OWNER, c.LiveKey(room=ROOM)) == reply
    kept = await stage.store.stream_key(ROOM, "ann")
    assert kept is not None
    assert reply["key"].encode() not in (kept.hash or b"")


async def test_only_owners_have_keys(stage: Stage) -> None:
    with pytest.raises(Rejected, match="owners") as refusal:
        await stage.do(BOB, c.LiveKey(room=ROOM))
    assert refusal.value.code == "forbidden"


async def test_a_publisher_starts_the_live_and_comes_back_within_the_grace(stage: Stage) -> None:
    gate = stage.gate()
    first = await gate.admit(await stage.claim())
    assert (first.room, first.user, first.title, first.test, first.record) == (ROOM, "ann", "Room", False, True)
    await gate.flowing(ROOM, first.session, first.fence)
    started = (await stage.log())[-1]
    assert isinstance(started, LiveStarted)
    assert (started.session, started.title, started.by.id) == (first.session, "Room", "ann")
    await gate.left(ROOM, first.session, first.fence, "gone")
    stage.now += 29_000
    second = await gate.admit(await stage.claim())
    assert (second.session, second.fence > first.fence) == (first.session, True)
    await gate.flowing(ROOM, second.session, second.fence)
    await gate.left(ROOM, first.session, first.fence, "gone")
    assert await stage.lives() == ["live.started", "live.interrupted", "live.resumed"]


async def test_after_the_grace_the_live_ends_and_another_may_begin(stage: Stage) -> None:
    fence = await flow(stage)
    await stage.gate().left(ROOM, "", fence, "gone")
    await stage.lapse(29)
    assert await stage.lives() == ["live.started", "live.interrupted"]
    await stage.lapse(2)
    assert await stage.lives() == ["live.started", "live.interrupted", "live.stopped gone"]
    await until(lambda: stage.media.stopped == [("one", ROOM, "gone")])
    await flow(stage)
    assert (await stage.lives())[3:] == ["live.started"]


async def test_a_stop_names_the_publisher_that_it_is_for(stage: Stage) -> None:
    fence = await flow(stage)
    await stage.do(OWNER, c.LiveStop(room=ROOM))
    await stage.do(OWNER, c.LiveStart(room=ROOM))
    later = await flow(stage)
    await until(lambda: stage.media.stopped)
    assert stage.media.fences == [fence]
    assert later > fence


@pytest.mark.parametrize("process", ["one", "two"])
async def test_another_owner_who_publishes_begins_another_live(stage: Stage, process: str) -> None:
    await stage.do(BOB, c.MemberJoin(room=ROOM))
    await stage.do(ROOT, c.MemberRole(room=ROOM, user="bob", role="owner"))
    add = c.DestinationAdd(name="Other", url="rtmp://live.example.com/app", stream_key="hush-hush")
    await stage.do(OWNER, add)
    first = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, first.session, first.fence)
    stage.now += 5_000
    second = await stage.gate(process).admit(await stage.claim(BOB))
    assert second.session != first.session
    assert (second.user, second.destinations) == ("bob", ())
    assert await stage.lives() == ["live.started", "live.stopped replaced"]
    await until(lambda: stage.media.stopped == [("one", ROOM, "replaced")])
    assert stage.media.fences == [first.fence]
    await stage.gate(process).flowing(ROOM, second.session, second.fence)
    started = (await stage.log())[-1]
    assert isinstance(started, LiveStarted)
    assert (started.session, started.by.id) == (second.session, "bob")
    assert (await stage.store.stream(ROOM)).started_at == stage.now


async def test_who_is_never_seen_leaves_nothing_behind(stage: Stage) -> None:
    admitted = await stage.gate().admit(await stage.claim())
    await stage.gate().left(ROOM, admitted.session, admitted.fence, "gone")
    assert await stage.lives() == []
    assert not (await stage.store.stream(ROOM)).on


async def test_of_two_publishers_the_newest_has_the_room(stage: Stage) -> None:
    claim = await stage.claim()
    both = await asyncio.gather(stage.gate("one").admit(claim), stage.gate("two").admit(claim))
    assert len({admitted.fence for admitted in both}) == 2
    assert len({admitted.session for admitted in both}) == 1
    older, newer = sorted(both, key=lambda admitted: admitted.fence)
    with pytest.raises(Refused, match="newest"):
        await stage.gate().flowing(ROOM, older.session, older.fence)
    await stage.gate().flowing(ROOM, newer.session, newer.fence)
    assert await stage.lives() == ["live.started"]


async def test_a_stopped_live_takes_no_publisher_until_it_is_started(stage: Stage) -> None:
    await flow(stage)
    reply = await stage.do(OWNER, c.LiveStop(room=ROOM, key="k"))
    assert (await stage.do(OWNER, c.LiveStop(room=ROOM, key="k"))) == reply | {"duplicate": True}
    assert await stage.lives() == ["live.started", "live.stopped"]
    await until(lambda: stage.media.stopped == [("one", ROOM, "stopped")])
    session = (await stage.store.stream(ROOM)).session
    await until(lambda: stage.media.over == [(ROOM, session, "stopped")])
    with pytest.raises(Refused, match="stopped"):
        await stage.gate().admit(await stage.claim())
    await stage.do(OWNER, c.LiveStart(room=ROOM, title="Again", category="Games", mature=True))
    await flow(stage)
    started = (await stage.log())[-1]
    assert isinstance(started, LiveStarted)
    assert (started.title, started.category, started.mature) == ("Again", "Games", True)


async def test_a_test_is_for_its_creator_alone_until_it_is_made_public(stage: Stage) -> None:
    await stage.do(OWNER, c.LiveStart(room=ROOM, test=True))
    admitted = await stage.gate().admit(await stage.claim())
    assert (admitted.test, admitted.record, admitted.destinations) == (True, False, ())
    await stage.gate().flowing(ROOM, admitted.session, admitted.fence)
    assert await stage.lives() == []
    assert await stage.live.may_watch(ROOM, "ann")
    assert not await stage.live.may_watch(ROOM, "bob")
    with pytest.raises(Rejected, match="stream"):
        await stage.live.may_see(BOB, ROOM)
    await stage.do(OWNER, c.LiveStart(room=ROOM, title="Now"))
    assert await stage.lives() == ["live.started"]
    assert await stage.live.may_watch(ROOM, "bob")
    await until(lambda: stage.media.refreshed == [ROOM])
    await until(lambda: stage.media.public == [("one", ROOM, admitted.session, True)])
    stage.media.running = running(admitted)
    await stage.live.closing.beat(["one"])
    await until(lambda: len(stage.media.public) == 2)
    stage.media.running = running(replace(admitted, test=False))
    await stage.live.closing.beat(["one"])
    assert len(stage.media.public) == 2


async def test_who_is_banned_while_the_store_is_slow_is_not_let_in(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, asked, go_on = stage.store.stream, asyncio.Event(), asyncio.Event()

    async def slow(room: str) -> Stream:
        found = await read(room)
        asked.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(stage.store, "stream", slow)
    seeing = asyncio.create_task(stage.live.may_see(BOB, ROOM))
    await asked.wait()
    await stage.do(OWNER, c.MemberBan(room=ROOM, user="bob"))
    go_on.set()
    with pytest.raises(Rejected) as refusal:
        await seeing
    assert refusal.value.code == "banned"


@pytest.mark.parametrize("flows", [False, True])
async def test_who_was_let_in_for_everybody_is_no_test_any_more(stage: Stage, flows: bool) -> None:
    admitted = await stage.gate().admit(await stage.claim())
    if flows:
        await stage.gate().flowing(ROOM, admitted.session, admitted.fence)
    with pytest.raises(Rejected, match="stop it first") as refusal:
        await stage.do(OWNER, c.LiveStart(room=ROOM, test=True))
    assert (refusal.value.code, refusal.value.field) == ("forbidden", "test")
    await stage.do(OWNER, c.LiveStop(room=ROOM))
    await stage.do(OWNER, c.LiveStart(room=ROOM, test=True))
    assert (await stage.gate().admit(await stage.claim())).test


async def test_while_live_it_may_be_called_otherwise(stage: Stage) -> None:
    await flow(stage)
    await stage.do(OWNER, c.LiveStart(room=ROOM, title="Other"))
    assert (await stage.do(OWNER, c.LiveStart(room=ROOM, title="Other")))["duplicate"]
    assert await stage.lives() == ["live.started", "live.updated"]
    shown = (await stage.do(OWNER, c.RoomList()))["rooms"][0]["live"]
    assert (shown["title"], shown["media"].hls) == ("Other", "/v1/rooms/r1/hls/index.m3u8")


@pytest.mark.parametrize(
    ("command", "said", "told"),
    [
        (c.MemberBan(room=ROOM, user="ann"), "banned", "banned"),
        (c.MemberKick(room=ROOM, user="ann"), "removed", "banned"),
        (c.MemberRole(room=ROOM, user="ann", role="member"), "removed", "banned"),
        (c.RoomClose(room=ROOM), "closed", "stopped"),
        (c.LiveTakedown(room=ROOM), "taken_down", "taken_down"),
    ],
)
async def test_who_loses_the_right_publishes_no_more(stage: Stage, command: c.Decided, said: str, told: str) -> None:
    await stage.do(BOB, c.MemberJoin(room=ROOM))
    await stage.do(ROOT, c.MemberRole(room=ROOM, user="bob", role="owner"))
    await flow(stage)
    claim = await stage.claim()
    await stage.do(ROOT, command)
    await until(lambda: stage.media.stopped == [("one", ROOM, told)])
    assert await stage.lives() == ["live.started", f"live.stopped {said}"]
    with pytest.raises(Refused):
        await stage.gate().admit(claim)


async def test_a_rotated_key_ends_the_stream_and_only_the_new_one_is_good(stage: Stage) -> None:
    old = await stage.claim()
    await flow(stage)
    await stage.do(OWNER, c.LiveKey(room=ROOM, rotate=True))
    await until(lambda: stage.media.stopped == [("one", ROOM, "key_rotated")])
    assert await stage.lives() == ["live.started", "live.stopped key_rotated"]
    with pytest.raises(Refused) as refusal:
        await stage.gate().admit(old)
    assert refusal.value.code == "unauthorized"
    await flow(stage)


async def test_creators_are_verified_where_that_is_asked_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path, limits=Limits(kyc=True))
    await stage.start()
    try:
        await stage.room()
        claim = await stage.claim()
        unverified = replace(OWNER, kyc=False)
        for command in (c.LiveKey(room=ROOM), c.LiveStart(room=ROOM)):
            with pytest.raises(Rejected) as refusal:
                await stage.do(unverified, command)
            assert refusal.value.field == "kyc"
        await stage.gate().admit(claim)
        with pytest.raises(Rejected):
            await stage.live.may_publish(unverified, ROOM)
    finally:
        await stage.service.close()


async def test_viewers_who_are_sent_away_watch_no_more(stage: Stage) -> None:
    assert await stage.live.may_watch(ROOM, "bob")
    await stage.do(BOB, c.MemberJoin(room=ROOM))
    await stage.do(OWNER, c.MemberBan(room=ROOM, user="bob"))
    await until(lambda: stage.media.removed == [(ROOM, "bob")])
    assert not await stage.live.may_watch(ROOM, "bob")


async def test_an_unknown_key_is_none(stage: Stage) -> None:
    with pytest.raises(Refused) as refusal:
        await stage.gate().admit(Claim("rtmp", "192.0.2.1", key="guessed"))
    assert refusal.value.code == "unauthorized"


def files_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_no_secret_stands_in_the_database_or_in_a_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stage = Stage(tmp_path)
    await stage.start()
    await stage.room()
    keys = [(await stage.do(OWNER, c.LiveKey(room=ROOM, rotate=rotate)))["key"] for rotate in (False, True)]
    add = c.DestinationAdd(name="A", url="rtmp://example.com/live", stream_key="hush-hush-1")
    made = (await stage.do(OWNER, add))["destination"]
    await stage.do(OWNER, c.DestinationUpdate(destination=made["id"], stream_key="hush-hush-2"))
    await flow(stage)
    await stage.service.close()
    kept = files_of(tmp_path)
    said = "".join(capsys.readouterr())
    assert b"rtmp://example.com/live" in kept
    for secret in (*keys, "hush-hush-1", "hush-hush-2"):
        assert secret.encode() not in kept
        assert secret not in said
