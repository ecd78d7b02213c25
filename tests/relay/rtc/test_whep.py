"""Watching by WHEP, with aiortc's peer connection as the client: what is decoded there is what was published here."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from relay.ports import Bearer, Refused
from relay.rights import DENIED_SECONDS, Rights
from relay.rtc.service import RtcSettings
from relay.stream import Stream
from relay.units import VideoConfig
from tests.relay.rtc.support import Everybody, Watcher, publishing, running, until, watching


async def test_pictures_and_sound_are_decoded() -> None:
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc) as (watcher, _):
            await until(lambda: watcher.frames["video"] > 60 and watcher.frames["audio"] > 60)
            assert rtc.viewers.watching() == {"room": ["bob"]}
            assert watcher.pts == sorted(set(watcher.pts))
        await until(lambda: not rtc.viewers.egresses)
        assert not door.intakes[0].stream.outputs


async def test_vp8_is_passed_on() -> None:
    async with running() as (rtc, door), publishing(rtc, "video/VP8"):
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc, codec="video/VP8") as (watcher, _):
            await until(lambda: watcher.frames["video"] > 20)


async def test_each_viewer_has_numbers_of_its_own() -> None:
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        watchers = [Watcher() for _ in range(8)]
        try:
            for index, watcher in enumerate(watchers):
                await watcher.watch(rtc, Bearer(f"user{index}"))
            await until(lambda: all(watcher.frames["video"] > 20 for watcher in watchers))
            (egress,) = rtc.viewers.egresses.values()
            assert len({viewer.tracks["video"].source.ssrc for viewer in egress.viewers}) == len(watchers)
            assert len({viewer.tracks["video"].offset for viewer in egress.viewers}) == len(watchers)
        finally:
            for watcher in watchers:
                await watcher.close()
        await until(lambda: not rtc.viewers.egresses)


async def test_a_viewer_that_is_removed_is_told_so_and_others_watch_on() -> None:
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc) as (bob, _), watching(rtc, Bearer("cid")) as (cid, _):
            await until(lambda: bob.frames["video"] and cid.frames["video"])
            rtc.viewers.remove("room", "bob")
            await until(lambda: bob.peer.connectionState in ("closed", "failed"))
            seen = cid.frames["video"]
            await until(lambda: cid.frames["video"] > seen + 10)


async def test_viewers_are_asked_about_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though nobody tells the process: who may not watch any more is sent away, and whose token has ended; where no
    gateway answers, all go on.
    """
    monkeypatch.setattr("relay.rights.ASK_AGAIN_SECONDS", 0.01)
    gateway, now = Everybody(), 0
    rights = Rights(gateway, lambda: now)
    dan, again = Bearer("dan", True, 1_000), Bearer("dan", True, 2_000)
    async with running(rights=rights) as (rtc, door), publishing(rtc):
        asking = asyncio.create_task(rights.ask_again(rtc.viewers.bearers, rtc.viewers.send_away))
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc) as (bob, _), watching(rtc, dan) as (first, _), watching(rtc, again) as (second, _):
            await until(lambda: all(one.frames["video"] for one in (bob, first, second)))
            gateway.away = True
            gateway.banned.add("bob")
            asked = gateway.asked
            await until(lambda: gateway.asked > asked + 3)
            assert len(rtc.viewers.bearers()) == 3
            gateway.away = False
            await until(lambda: bob.peer.connectionState in ("closed", "failed"))
            assert set(rtc.viewers.bearers()) == {("room", dan), ("room", again)}
            now = 1_000
            await until(lambda: first.peer.connectionState in ("closed", "failed"))
            assert rtc.viewers.bearers() == [("room", again)]
        asking.cancel()
        await asyncio.wait([asking])


async def test_who_was_removed_is_let_in_by_no_answer_that_was_on_its_way() -> None:
    now = 1.0
    rights = Rights(Everybody(), lambda: 0, lambda: now)
    async with running(rights=rights) as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        rights.revoke("room", "bob")
        with pytest.raises(Refused, match="may not watch"):
            async with watching(rtc):
                pass
        now += DENIED_SECONDS
        async with watching(rtc) as (bob, _):
            await until(lambda: bob.frames["video"])


async def test_a_stream_that_ends_ends_its_viewers() -> None:
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc) as (watcher, _):
            await until(lambda: watcher.frames["video"])
            door.intakes[0].stream.end("stopped")
            await until(lambda: watcher.peer.connectionState in ("closed", "failed"))
        assert rtc.viewers.watching() == {}


async def test_what_a_viewer_lost_is_sent_again() -> None:
    """Every twentieth packet does not leave: aiortc asks for it, and decodes all pictures."""
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc) as (watcher, _):
            await until(lambda: watcher.frames["video"])
            (egress,) = rtc.viewers.egresses.values()
            (viewer,) = egress.viewers
            connection = viewer.connection
            assert connection is not None
            count = 0

            def lossy(run: memoryview, size: int, packets: int, address: tuple[str, int]) -> None:
                nonlocal count
                for at in range(0, len(run), size):
                    count += 1
                    if count % 20:
                        rtc.port.send(run[at : at + size], address)

            rtc.port.send_run = lossy  # type: ignore[assignment, method-assign]
            await until(lambda: viewer.retransmitted > 5)
            seen = watcher.frames["video"]
            await until(lambda: watcher.frames["video"] > seen + 30)


async def test_one_viewer_does_not_take_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.rtc.whep._OF_A_USER", 2)
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc) as (first, _), watching(rtc) as (second, answer):
            await until(lambda: first.frames["video"] and second.frames["video"])
            with pytest.raises(Refused, match="2 times by WebRTC"):
                async with watching(rtc):
                    pass
            async with watching(rtc, Bearer("cid")) as (cid, _):
                await until(lambda: cid.frames["video"])
            await rtc.hang_up(answer.resource)
            async with watching(rtc) as (again, _):
                await until(lambda: again.frames["video"])


async def test_who_is_not_served_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(RtcSettings(whep_viewers=1)) as (rtc, door):
        with pytest.raises(Refused, match="no stream"):
            async with watching(rtc):
                pass
        async with publishing(rtc):
            await until(lambda: door.intakes[0].of("video"))
            with pytest.raises(Refused, match="none of the stream's codecs"):
                async with watching(rtc, codec="video/VP8"):
                    pass
            async with watching(rtc) as (watcher, answer):
                await until(lambda: watcher.frames["video"])
                with pytest.raises(Refused, match="No more viewers"):
                    async with watching(rtc):
                        pass
                await rtc.hang_up(answer.resource)
            async with watching(rtc) as (watcher, _):
                await until(lambda: watcher.frames["video"])
            monkeypatch.setattr(Stream, "has_b_frames", True)
            with pytest.raises(Refused, match="B-frames"):
                async with watching(rtc):
                    pass


async def test_sequence_numbers_wrap_on_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent past 65,535 is under SRTP's next rollover counter (RFC 3711, section 3.3.1)."""
    monkeypatch.setattr("aiortc.rtcrtpsender.random_sequence_number", lambda: 65_500)
    monkeypatch.setattr("relay.rtc.viewer.randbits", lambda bits: 65_500)
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc) as (watcher, _):
            await until(lambda: watcher.frames["video"] > 80 and watcher.frames["audio"] > 80)
            (egress,) = rtc.viewers.egresses.values()
            assert all(track.sequence < 60_000 for track in egress.viewers[0].tracks.values())
            assert watcher.pts == sorted(set(watcher.pts))
        times = [unit.dts for unit in door.intakes[0].of("audio")]
        assert times == sorted(set(times))


@pytest.mark.parametrize(
    "change", [{"config": VideoConfig("vp8", 320, 240)}, {"pts": 1 << 30}], ids=["codec", "B-frames"]
)
async def test_a_viewer_is_ended_where_the_stream_becomes_another(change: dict[str, Any]) -> None:
    """As the next encoder makes it: players then take a way that shows it."""
    async with running() as (rtc, door), publishing(rtc):
        await until(lambda: door.intakes[0].of("video"))
        async with watching(rtc) as (watcher, _):
            await until(lambda: watcher.frames["video"])
            (egress,) = rtc.viewers.egresses.values()
            egress.unit(replace(door.intakes[0].of("video")[-1], **change))
            await until(lambda: watcher.peer.connectionState in ("closed", "failed"))
        assert rtc.viewers.watching() == {}
