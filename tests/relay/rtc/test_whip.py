"""Publishing by WHIP, with aiortc's peer connection as the client."""

from itertools import pairwise

import pytest

from relay import h264
from relay.ports import Reason, Refused
from relay.units import AudioConfig, VideoConfig
from tests.relay.rtc.support import publishing, running, until


async def test_units_of_h264_and_opus_on_one_clock() -> None:
    async with running() as (rtc, door), publishing(rtc):
        intake = door.intakes[0] if door.intakes else None
        assert intake is not None
        await until(lambda: len(intake.of("video")) > 30 and len(intake.of("audio")) > 50)
    video, audio = intake.of("video"), intake.of("audio")
    config = video[0].config
    assert isinstance(config, VideoConfig)
    assert (config.codec, config.width, config.height) == ("h264", 320, 240)
    assert all(unit.config is config for unit in video)
    assert video[0].key
    kinds = {h264.nal_type(nal) for unit in video for nal in h264.split_lengths(unit.data)}
    assert kinds <= {h264.SLICE, h264.IDR, h264.SEI}
    assert audio[0].config == AudioConfig("opus", 48_000, 2)
    for units in (video, audio):
        times = [unit.dts for unit in units]
        assert times == sorted(set(times))
    assert {b.dts - a.dts for a, b in pairwise(audio)} == {1_800}
    assert abs(video[0].dts - audio[0].dts) < 90_000
    assert intake.reasons == ["gone"]


async def test_vp8_where_no_h264_is_offered() -> None:
    async with running() as (rtc, door), publishing(rtc, "video/VP8"):
        await until(lambda: len(door.intakes[0].of("video")) > 5)
    assert door.intakes[0].of("video")[0].config == VideoConfig("vp8", 320, 240)


async def test_refused_offers_leave_nothing() -> None:
    async with running() as (rtc, door):
        with pytest.raises(Refused, match="Unknown stream key"):
            async with publishing(rtc, key="wrong"):
                pass
        with pytest.raises(Refused, match="v=0"):
            await rtc.whip("", "", "key", "127.0.0.1", "nonsense")
        assert not door.intakes
        assert len(rtc.agent) == 0


@pytest.mark.parametrize(
    ("reason", "code", "told"),
    [("replaced", "forbidden", "Another encoder"), ("leaving", "not_found", "over"), ("failed", "not_found", "over")],
)
async def test_who_is_to_stay_away_is_told_why(reason: Reason, code: str, told: str) -> None:
    async with running() as (rtc, door), publishing(rtc) as (peer, answer):
        await until(lambda: door.intakes[0].units)
        door.intakes[0].publisher.close(reason)
        if code == "forbidden":  # while it is being closed, too
            with pytest.raises(Refused, match=told):
                await rtc.hang_up(answer.resource)
        await until(lambda: peer.connectionState in ("closed", "failed"))
        with pytest.raises(Refused, match=told) as refused:
            await rtc.hang_up(answer.resource)
        assert refused.value.code == code


async def test_delete_ends_it() -> None:
    async with running() as (rtc, door), publishing(rtc) as (peer, answer):
        await until(lambda: door.intakes[0].units)
        await rtc.hang_up(answer.resource)
        assert door.intakes[0].reasons == ["gone"]
        assert len(rtc.agent) == 0
        with pytest.raises(Refused, match="over"):
            await rtc.hang_up(answer.resource)
        await until(lambda: peer.connectionState in ("closed", "failed"))
