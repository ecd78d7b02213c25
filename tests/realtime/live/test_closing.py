"""What goes on by the clock: beats of media processes, and what is held against the store."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from relay.ports import Refused
from rooms import commands as c
from rooms.live import Internal, Lapse, Stream
from tests.realtime.live.stage import OWNER, ROOM, Stage, flow, running, until


async def test_whose_process_says_no_more_that_it_goes_on_is_gone(stage: Stage) -> None:
    await flow(stage)
    await stage.lapse(19)
    await stage.live.closing.beat(["one"])
    await stage.lapse(2)
    assert await stage.lives() == ["live.started", "live.interrupted"]


@pytest.mark.parametrize("answers", [True, False])
async def test_a_publisher_that_its_process_has_goes_on(stage: Stage, answers: bool) -> None:
    admitted = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, admitted.session, admitted.fence)
    stage.media.running = running(admitted) if answers else Refused("unavailable", "It stalls.")
    for _ in range(3):
        await stage.lapse(19)
        await stage.live.closing.beat(["one"])
    await stage.lapse(19)
    assert await stage.lives() == ["live.started", *([] if answers else ["live.interrupted", "live.stopped gone"])]


@pytest.mark.parametrize("flowing", [True, False])
async def test_who_was_taken_for_gone_while_no_gateway_was_there_goes_on(stage: Stage, flowing: bool) -> None:
    admitted = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, admitted.session, admitted.fence)
    await stage.lapse(60)
    assert await stage.lives() == ["live.started", "live.interrupted"]
    stage.media.running = running(admitted, flowing=flowing)
    await stage.live.closing.beat(["one"])
    assert await stage.lives() == ["live.started", "live.interrupted", *(["live.resumed"] if flowing else [])]
    await stage.gate().left(ROOM, admitted.session, admitted.fence, "gone")
    stage.media.running = ()
    await stage.live.closing.beat(["one"])
    assert (await stage.lives())[-1] == "live.interrupted"


async def test_a_process_that_does_not_answer_for_a_while_loses_no_publisher(stage: Stage) -> None:
    await flow(stage)
    stage.media.processes = ("one", "two")
    for processes in (["one", "two"], ["two"], ["one", "two"]):
        await stage.live.closing.compare(processes)
    await stage.do(OWNER, c.LiveStop(room=ROOM))
    await until(lambda: stage.media.stopped)
    assert stage.media.stopped == [("one", ROOM, "stopped")]


async def test_viewers_are_announced_though_that_has_failed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.live.rooms.VIEWERS_SECONDS", 0.01)
    stage, announced = Stage(tmp_path), list[int]()

    async def announce() -> None:
        announced.append(len(announced))
        if len(announced) == 1:
            raise KeyError("a room")

    monkeypatch.setattr(stage.live.viewers, "announce", announce)
    await stage.start()
    try:
        await until(lambda: len(announced) > 2)
    finally:
        await stage.service.close()


async def test_a_room_that_cannot_be_written_to_holds_up_the_end_of_no_other(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    admitted = await stage.gate().admit(await stage.claim())
    act, tried, go_on = stage.live.acting.act, list[str](), asyncio.Event()

    async def slow(user: str, command: Internal) -> dict[str, Any]:
        if isinstance(command, Lapse) and command.room == "slow":
            tried.append(user)
            await go_on.wait()
        return await act(user, command)

    async def due(now: int, limit: int) -> list[tuple[str, Stream]]:
        return [("slow", Stream(user="eve")), *await read(now, limit)]

    read = stage.store.due_streams
    monkeypatch.setattr(stage.live.acting, "act", slow)
    monkeypatch.setattr(stage.store, "due_streams", due)
    stage.live.closing.wake()
    await until(lambda: tried)
    await stage.do(OWNER, c.LiveKey(room=ROOM, rotate=True))
    await until(lambda: stage.media.stopped == [("one", ROOM, "key_rotated")])
    assert (tried, admitted.room) == (["eve"], ROOM)
    go_on.set()


async def test_what_has_ended_while_its_process_did_not_answer_is_ended_once_it_does(stage: Stage) -> None:
    await flow(stage)
    stage.media.processes = ("one", "two")
    await stage.live.closing.compare(["one", "two"])
    stage.media.processes = ("two",)
    await stage.do(OWNER, c.LiveStop(room=ROOM))
    for _ in range(2):
        await stage.live.closing.compare(["two"])
    assert stage.media.stopped == []
    stage.media.processes = ("one", "two")
    await stage.live.closing.compare(["one", "two"])
    await until(lambda: stage.media.stopped)
    assert stage.media.stopped == [("one", ROOM, "stopped")]


async def test_an_admission_that_was_never_heard_of_ends_no_live(stage: Stage) -> None:
    """Another publisher of the same owner; its media process did not get the answer, and has the first one still."""
    first = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, first.session, first.fence)
    await stage.gate().admit(await stage.claim())
    stage.media.running = running(first)
    await stage.live.closing.beat(["one"])
    assert stage.media.stopped == [], "the answer may be on its way"
    await stage.live.closing.beat(["one"])
    await until(lambda: stage.media.stopped == [("one", ROOM, "replaced")])
    assert stage.media.fences == [first.fence]
    stage.media.running = ()
    again = await stage.gate().admit(await stage.claim())
    await stage.gate().flowing(ROOM, again.session, again.fence)
    assert again.session == first.session
    assert await stage.lives() == ["live.started"]


async def test_a_stream_that_ended_unheard_is_ended_all_the_same(stage: Stage) -> None:
    await flow(stage)
    await stage.live.closing.compare(["one"])
    stage.media.processes = ()
    await stage.do(OWNER, c.LiveStop(room=ROOM))
    stage.media.processes = ("one",)
    await stage.live.closing.compare(["one"])
    await until(lambda: stage.media.stopped == [("one", ROOM, "stopped")])
