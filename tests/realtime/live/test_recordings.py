"""Recordings: noted, listed, changed, taken down."""

import base64

import pytest
from msgspec import msgpack

from relay.ports import Recorded
from rooms import commands as c
from rooms.errors import Rejected
from tests.realtime.live.stage import BOB, EVE, OWNER, ROOM, ROOT, Stage, flow, until


def recorded(session: str, folder: str = "first") -> Recorded:
    return Recorded(session, ROOM, "ann", folder, 1, 60_000, 1_000, 640, 360, 2)


async def test_recordings_are_listed_renamed_unlisted_and_removed(stage: Stage) -> None:
    admitted = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, admitted.session, admitted.fence)
    await stage.do(OWNER, c.LiveStop(room=ROOM))
    for _ in range(2):
        await stage.gate().recorded(recorded(admitted.session))
    listed = c.RecordingList(room=ROOM)
    (row,) = (await stage.do(BOB, listed))["recordings"]
    assert row["hls"] == "/v1/rooms/r1/recordings/first/index.m3u8"
    assert await stage.live.may_replay(ROOM, "first", "bob")
    assert not await stage.live.may_replay(ROOM, "none", "bob")
    assert (row["title"], row["state"], row["first_pos"], row["last_pos"], row["parts"]) == ("Room", "listed", 2, 3, 2)
    change = c.RecordingUpdate(room=ROOM, recording=row["id"], title="Best", listed=False)
    with pytest.raises(Rejected, match="recorded this"):
        await stage.do(BOB, change)
    await stage.do(OWNER, change)
    await until(lambda: stage.media.changed == [ROOM])
    assert (await stage.do(BOB, listed))["recordings"] == []
    assert (await stage.do(OWNER, listed))["recordings"][0]["title"] == "Best"
    assert [await stage.live.may_replay(ROOM, "first", user) for user in ("ann", "bob")] == [True, False]
    await stage.do(OWNER, c.RecordingUpdate(room=ROOM, recording=row["id"], title="Very best"))
    await stage.do(OWNER, c.RecordingDelete(room=ROOM, recording=row["id"]))
    await until(lambda: stage.media.changed == [ROOM, ROOM])
    assert (await stage.do(OWNER, listed))["recordings"] == []
    await stage.live.recordings.remove_deleted(stage.media.node, stage.media)
    assert stage.media.deleted == ["first"]


@pytest.mark.parametrize("last", [(2**63, "first"), (-1, "first"), (1, ""), (1, "a" * 65), (1,), "first"])
async def test_a_cursor_is_one_of_ours(stage: Stage, last: object) -> None:
    cursor = base64.urlsafe_b64encode(msgpack.encode(last)).rstrip(b"=").decode()
    with pytest.raises(Rejected, match="none of ours") as refused:
        await stage.do(BOB, c.RecordingList(room=ROOM, cursor=cursor))
    assert (refused.value.code, refused.value.field) == ("bad_request", "cursor")


async def test_files_that_cannot_be_removed_keep_no_others(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    admitted = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, admitted.session, admitted.fence)
    await stage.do(OWNER, c.LiveStop(room=ROOM))
    monkeypatch.setattr("realtime.live.recordings.DELETED_TOGETHER", 2)
    folders = [f"folder{number}" for number in range(5)]
    for folder in folders:
        await stage.gate().recorded(recorded(admitted.session, folder))
        await stage.do(OWNER, c.RecordingDelete(room=ROOM, recording=folder))
    delete, bad = stage.media.delete, set(folders[:3])

    async def denied(folder: str) -> None:
        if folder in bad:
            raise PermissionError(13, "Permission denied")
        await delete(folder)

    monkeypatch.setattr(stage.media, "delete", denied)
    for _ in range(3):
        await stage.live.recordings.remove_deleted(stage.media.node, stage.media)
    assert sorted(stage.media.deleted) == folders[3:]
    bad.clear()
    for _ in range(3):
        await stage.live.recordings.remove_deleted(stage.media.node, stage.media)
    assert sorted(stage.media.deleted) == folders


@pytest.mark.parametrize(
    "command",
    [
        c.LiveTakedown(room=ROOM),
        c.MemberBan(room=ROOM, user="ann"),
        c.MemberKick(room=ROOM, user="ann"),
        c.MemberRole(room=ROOM, user="ann", role="member"),
    ],
)
async def test_what_was_taken_down_is_hidden_also_where_it_is_recorded_later(stage: Stage, command: c.Decided) -> None:
    await stage.do(BOB, c.MemberJoin(room=ROOM))
    await stage.do(ROOT, c.MemberRole(room=ROOM, user="bob", role="owner"))
    admitted = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, admitted.session, admitted.fence)
    await stage.gate().recorded(recorded(admitted.session, "before"))
    await stage.do(ROOT, command)
    await until(lambda: len(stage.media.stopped) == 1)
    await stage.gate().recorded(recorded(admitted.session, "after"))
    assert (await stage.do(EVE, c.RecordingList(room=ROOM)))["recordings"] == []
    found = (await stage.do(BOB, c.RecordingList(room=ROOM)))["recordings"]
    assert [row["state"] for row in found] == ["hidden", "hidden"]
    for user in ("ann", "bob", "eve"):
        assert not await stage.live.may_replay(ROOM, "after", user)


@pytest.mark.parametrize("command", [c.MemberLeave(room=ROOM), c.LiveKey(room=ROOM, rotate=True)])
async def test_who_leaves_or_rotates_the_key_keeps_what_was_recorded(stage: Stage, command: c.Decided) -> None:
    await stage.do(BOB, c.MemberJoin(room=ROOM))
    await stage.do(ROOT, c.MemberRole(room=ROOM, user="bob", role="owner"))
    admitted = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, admitted.session, admitted.fence)
    await stage.do(OWNER, command)
    await until(lambda: len(stage.media.stopped) == 1)
    await stage.gate().recorded(recorded(admitted.session))
    assert len((await stage.do(EVE, c.RecordingList(room=ROOM)))["recordings"]) == 1


async def test_what_has_ended_can_be_taken_down_too(stage: Stage) -> None:
    admitted = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, admitted.session, admitted.fence)
    await stage.do(OWNER, c.LiveStop(room=ROOM))
    await stage.gate().recorded(recorded(admitted.session, "before"))
    assert await stage.live.may_replay(ROOM, "before", "bob")
    await stage.do(ROOT, c.LiveTakedown(room=ROOM))
    await until(lambda: stage.media.changed == [ROOM])
    await stage.do(OWNER, c.LiveStart(room=ROOM))
    await flow(stage)
    await stage.gate().recorded(recorded(admitted.session, "after"))
    for name in ("before", "after"):
        assert not await stage.live.may_replay(ROOM, name, "bob")
    assert (await stage.do(BOB, c.RecordingList(room=ROOM)))["recordings"] == []
    await until(lambda: (ROOM, admitted.session, "taken_down") in stage.media.over)


async def test_nothing_of_a_test_is_kept(stage: Stage) -> None:
    await stage.gate().recorded(recorded("no-live", "test"))
    assert stage.media.deleted == ["test"]
