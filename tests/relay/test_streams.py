"""Publishers come, drop, return, are replaced and stopped; gateways are told of it, also those that were away."""

import asyncio
from collections.abc import Callable

import pytest

from relay import news, streams
from relay.audio import AudioLane
from relay.engine import Running
from relay.feed_values import Told
from relay.news import News
from relay.parts import Parts
from relay.parts_values import Init, Part
from relay.ports import Admitted, Claim, Intake, Refused
from relay.stream import UNITS_A_SECOND, Caps, Stream, TooMuch
from relay.streams import Streams, StreamsSettings
from relay.units import HZ, AudioConfig, Kind, Unit, VideoConfig
from tests.relay.stage import AUDIO, FRAME, VIDEO, StagedGate, StagedOutput, StagedPublisher, audio, units, video

PATIENCE = 10.0
CLAIM = Claim("rtmp", "127.0.0.1", key="room")
SETTINGS = StreamsSettings(Caps(12_000, 2_073_600), publishers=2, grace_seconds=30)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


class Stage:
    def __init__(self, settings: StreamsSettings = SETTINGS):
        self.gate, self.news = StagedGate(), News()
        self.outputs: list[StagedOutput] = []
        self.ended: list[Stream] = []
        self.streams = Streams(self.gate, self.news, settings, self._outputs, self.ended.append)

    def _outputs(self, stream: Stream) -> list[StagedOutput]:
        self.outputs.append(StagedOutput())
        return self.outputs[-1:]

    async def publish(self, publisher: StagedPublisher | None = None, claim: Claim = CLAIM) -> Intake:
        return await self.streams.publish(claim, publisher or StagedPublisher())

    async def close(self) -> None:
        await self.streams.close()
        await self.news.close()


async def test_a_publisher_is_told_of_once_its_first_keyframe_is_there() -> None:
    stage = Stage()
    intake = await stage.publish()
    intake.unit(video(0))
    intake.unit(audio(0))
    assert stage.outputs[0].units == []
    for unit in units(1, start=9_000):
        intake.unit(unit)
    await until(lambda: ("flowing", "room", "s1", 1) in stage.gate.told)
    assert stage.outputs[0].units[0].key
    assert stage.outputs[0].units[0].dts == 0
    assert stage.gate.told.count(("flowing", "room", "s1", 1)) == 1
    await stage.close()


async def test_one_without_pictures_is_told_of_once_outputs_have_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transcoder gives nothing for its first packets."""
    stage, late = Stage(), iter([[], [], [audio(1_920)], [audio(3_840)]])
    monkeypatch.setattr("relay.audio.AudioLane.unit", lambda lane, unit: next(late))
    monkeypatch.setattr("relay.stream.AUDIO_ALONE_SECONDS", 0.0)
    intake = await stage.publish()
    for packet in range(2):
        intake.unit(audio(packet * 1_800))
    await stage.news.settle()
    assert [what for what, *_ in stage.gate.told] == ["admit"]
    for packet in range(2, 4):
        intake.unit(audio(packet * 1_800))
    await until(lambda: len(stage.gate.told) == 2)
    assert stage.gate.told[1] == ("flowing", "room", "s1", 1)
    await stage.close()


async def test_one_that_comes_back_within_the_grace_goes_on_with_the_stream() -> None:
    stage = Stage()
    intake = await stage.publish()
    for unit in units(1):
        intake.unit(unit)
    intake.left("gone")
    intake.left("gone")
    again = await stage.publish()
    for unit in units(1, start=77 * FRAME):
        again.unit(unit)
    intake.unit(video(0, key=True))  # of a connection that is gone
    await until(lambda: ("flowing", "room", "s1", 2) in stage.gate.told)
    output = stage.outputs[0]
    assert len(stage.outputs) == 1
    assert output.events == ["interrupted"]
    for kind in ("video", "audio"):
        placed = [unit.dts for unit in output.units if unit.kind == kind]
        assert placed == sorted(set(placed))
    assert [what[0] for what in stage.gate.told if what[0] != "admit"] == ["flowing", "left", "flowing"]
    await stage.close()


async def test_the_stream_of_one_that_does_not_come_back_ends_after_the_grace() -> None:
    stage = Stage(StreamsSettings(SETTINGS.caps, 2, grace_seconds=0.02))
    (await stage.publish()).left("gone")
    await until(lambda: stage.ended)
    assert stage.outputs[0].events == ["interrupted", "ended gone"]
    assert stage.streams.get("room") is None
    assert stage.streams.publishers == 0
    await stage.close()


async def test_a_newer_publisher_replaces_the_older_one() -> None:
    stage = Stage()
    first, second = StagedPublisher(), StagedPublisher()
    old = await stage.publish(first)
    for unit in units(1):
        old.unit(unit)
    new = await stage.publish(second)
    assert first.closed == "replaced"
    old.left("replaced")
    for unit in units(1):
        new.unit(unit)
    assert second.closed is None
    assert len(stage.outputs) == 1
    assert stage.streams.publishers == 1
    await stage.close()


async def test_another_session_is_another_stream() -> None:
    stage = Stage()
    await stage.publish()
    stage.gate.session = "s2"
    await stage.publish()
    assert stage.outputs[0].events == ["interrupted", "ended replaced"]
    assert len(stage.outputs) == 2
    await stage.close()


async def test_an_older_one_that_was_admitted_late_is_refused() -> None:
    stage = Stage()
    await stage.publish()
    await stage.publish()
    stage.gate.fence = 0
    with pytest.raises(Refused, match="newer"):
        await stage.publish()
    await stage.close()


@pytest.mark.parametrize("reason", ["stopped", "taken_down", "banned", "key_rotated"])
async def test_a_stop_ends_the_publisher_and_its_outputs_at_once(reason: str) -> None:
    stage = Stage()
    publisher = StagedPublisher()
    intake = await stage.publish(publisher)
    for unit in units(0.2):
        intake.unit(unit)
    await stage.streams.stop("room", 1, reason)  # type: ignore[arg-type]  # a text of the list above
    assert publisher.closed == reason
    assert stage.outputs[0].events == [f"ended {reason}"]
    seen = len(stage.outputs[0].units)
    intake.unit(video(FRAME, key=True))
    intake.left("stopped")
    assert len(stage.outputs[0].units) == seen
    assert stage.streams.get("room") is None
    await stage.streams.stop("room", 1, "stopped")
    await stage.close()


async def test_a_stop_that_comes_late_does_not_end_the_next_publisher() -> None:
    stage = Stage()
    first, later = StagedPublisher(), StagedPublisher()
    for publisher in (first, later):
        await stage.publish(publisher)
    await stage.streams.stop("room", 1, "stopped")
    assert [publisher.closed for publisher in (first, later)] == ["replaced", None]
    assert stage.streams.running() == (Running("room", "s1", 2, test=False, flowing=False),)
    await stage.streams.stop("room", 2, "stopped")
    assert [publisher.closed for publisher in (first, later)] == ["replaced", "stopped"]
    assert stage.streams.running() == ()
    await until(lambda: ("left", "room", "s1", 2, "stopped") in stage.gate.told)
    await stage.close()


async def test_a_gateway_that_was_away_hears_all_of_it_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "FIRST_DELAY", 0.01)
    stage = Stage()
    intake = await stage.publish()
    stage.gate.away = True
    for unit in units(0.2):
        intake.unit(unit)
    intake.left("gone")
    with pytest.raises(Refused) as refused:
        await stage.publish()
    assert refused.value.code == "unavailable"
    assert stage.news.waiting == 2
    stage.gate.away = False
    await until(lambda: not stage.news.waiting)
    assert [what[0] for what in stage.gate.told] == ["admit", "flowing", "left"]
    await stage.close()


async def test_what_waits_for_a_gateway_is_bounded() -> None:
    stage = Stage()
    stage.gate.away = True
    for number in range(news.MOST_WAITING + 5):
        stage.news.say("room", lambda number=number: stage.gate.left("room", "s", number, "gone"))  # type: ignore[misc]
    assert stage.news.waiting == news.MOST_WAITING
    assert stage.news.dropped == 5
    await stage.close()


async def test_one_whose_room_was_taken_elsewhere_is_closed() -> None:
    stage = Stage()
    publisher = StagedPublisher()
    intake = await stage.publish(publisher)
    stage.gate.refusal = Refused("forbidden", "A newer publisher has the room.")
    intake.unit(video(0, key=True))
    await until(lambda: publisher.closed == "replaced")
    assert stage.outputs[0].events == ["ended replaced"]
    await stage.close()


async def test_more_publishers_than_configured_are_refused() -> None:
    stage = Stage()
    for room in ("one", "two"):
        await stage.publish(claim=Claim("rtmp", "127.0.0.1", key=room))
    with pytest.raises(Refused) as refused:
        await stage.publish(claim=Claim("rtmp", "127.0.0.1", key="three"))
    assert refused.value.code == "too_many"
    assert stage.streams.refused == 1
    await stage.close()


async def test_pictures_that_are_too_large_end_the_publisher_and_tell_the_creator() -> None:
    stage = Stage()
    publisher = StagedPublisher()
    intake = await stage.publish(publisher)
    intake.unit(video(0, key=True, config=VideoConfig("h264", 3_840, 2_160)))
    assert publisher.closed == "refused"
    await until(lambda: stage.gate.reports)
    assert "3840 × 2160" in stage.gate.reports[0]["message"]
    await stage.close()


OTHER_AUDIO = AudioConfig("aac", 44_100, 2, b"\x12\x10")
OTHER_VIDEO = VideoConfig("h264", 320, 180, VIDEO.sps, VIDEO.pps)


def settings(kind: Kind, number: int) -> Unit:
    """A unit in others than the one before."""
    if kind == "video":
        return video(number * FRAME, key=True, config=OTHER_VIDEO if number % 2 else VIDEO)
    return audio(number * FRAME, OTHER_AUDIO if number % 2 else AUDIO)


@pytest.mark.parametrize("kind", ["video", "audio"])
async def test_settings_that_change_all_the_time_end_the_publisher(kind: Kind) -> None:
    stage = Stage()
    publisher = StagedPublisher()
    intake = await stage.publish(publisher)
    intake.unit(video(0, key=True))
    changes = 0
    while publisher.closed is None:
        changes += 1
        intake.unit(settings(kind, changes))
    assert publisher.closed == "refused"
    await until(lambda: stage.gate.reports)
    assert "more than once a second" in stage.gate.reports[0]["message"]
    await stage.close()


@pytest.mark.parametrize("kind", ["video", "audio"])
def test_settings_may_change_once_a_second(kind: Kind) -> None:
    """And more often for a while, as browsers' do that feel their way up."""
    stream = Stream(Admitted("room", "ana", "s1", 1, "Title"), SETTINGS.caps)
    publishing = stream.attach(stream.admitted, StagedPublisher(), 0.0)
    stream.unit(publishing, video(0, key=True), 0.0)
    for second in range(1, 20):
        stream.unit(publishing, settings(kind, second), float(second))
    for change in range(20, 25):
        stream.unit(publishing, settings(kind, change), 20.0)
    with pytest.raises(TooMuch):
        stream.unit(publishing, settings(kind, 25), 20.9)


async def test_sound_too_far_behind_is_missing_and_its_creator_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Players are not kept waiting for it: there is one change, to a stream without sound."""
    monkeypatch.setattr(streams, "HEALTH_SECONDS", 0.01)
    cuts: list[Told] = []

    class Heard:
        def tell(self, told: Told) -> None:
            cuts.append(told)

    stage = Stage()
    await stage.publish()
    stream = stage.streams.get("room")
    assert stream is not None
    publishing = stream.publishing
    assert publishing is not None
    stream.add(Parts(lambda: [Heard()]))
    for unit in units(30):
        now = publishing.since + unit.dts / HZ
        if unit.kind == "video":
            stream.unit(publishing, unit, now)
        elif unit.dts < HZ or unit.dts > 7 * HZ:
            stream.unit(publishing, audio(unit.dts if unit.dts < HZ else unit.dts - 6 * HZ), now)
    assert [one.codecs for one in cuts if isinstance(one, Init)] == ["avc1.42e01f,mp4a.40.2", "avc1.42e01f"]
    assert [one.discontinuities for one in cuts if isinstance(one, Part)][-1] == 1
    assert stream.clock.apart > 1_000
    running = asyncio.create_task(stage.streams.run())
    await until(
        lambda: any("The sound is 6 s behind the picture" in str(one.get("advice")) for one in stage.gate.reports)
    )
    running.cancel()
    await asyncio.wait([running])
    await stage.close()


def test_a_lane_that_no_output_wants_any_more_is_fed_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Stream(Admitted("room", "ana", "s1", 1, "Title"), SETTINGS.caps)
    publishing = stream.attach(stream.admitted, StagedPublisher(), 0.0)
    viewer = StagedOutput("opus")
    stream.add(StagedOutput())
    stream.add(viewer)
    fed: list[str] = []

    def advance(lane: AudioLane, pts: int) -> list[Unit]:
        fed.append(lane._target)
        return []

    monkeypatch.setattr("relay.audio.AudioLane.advance", advance)
    stream.unit(publishing, video(0, key=True), 0.0)
    stream.unit(publishing, audio(0), 0.0)
    stream.unit(publishing, video(FRAME), 0.0)
    assert sorted(fed) == ["aac", "opus"]
    stream.remove(viewer)
    fed.clear()
    stream.unit(publishing, video(2 * FRAME), 0.1)
    assert fed == ["aac"]


def test_what_a_line_has_held_back_is_within_the_rate() -> None:
    """Two thirds of it, of which four seconds come at once; half as much again is too much."""
    stream = Stream(Admitted("room", "ana", "s1", 1, "Title"), SETTINGS.caps)
    publishing = stream.attach(stream.admitted, StagedPublisher(), 0.0)

    def sends(mbit: int, seconds: range) -> None:
        for index in range(seconds.start * 30, seconds.stop * 30):
            unit = video(index * FRAME, key=index % 30 == 0, data=bytes(mbit * 125_000 // 30))
            stream.unit(publishing, unit, 14.0 if 10 < index / 30 < 14 else index / 30)

    sends(8, range(40))
    with pytest.raises(TooMuch, match="12000 kbit"):
        sends(18, range(40, 70))


def test_frames_are_so_many_a_second() -> None:
    """However small they are: each costs every viewer a packet. What is sent at once, after a stall, may be more."""
    stream = Stream(Admitted("room", "ana", "s1", 1, "Title"), SETTINGS.caps)
    publishing = stream.attach(stream.admitted, StagedPublisher(), 0.0)

    def sends(frames: range, now: float) -> None:
        for index in frames:
            stream.unit(publishing, video(index, key=not index, data=b"v"), now)

    sends(range(4 * UNITS_A_SECOND), 4.0)
    sends(range(4 * UNITS_A_SECOND, 5 * UNITS_A_SECOND), 5.0)
    with pytest.raises(TooMuch, match="1000 frames"):
        sends(range(5 * UNITS_A_SECOND, 9 * UNITS_A_SECOND), 6.0)


def test_a_clock_that_stands_still_does_not_fill_a_part_without_end() -> None:
    """The rate is what is allowed, by the wall's clock."""
    stream = Stream(Admitted("room", "ana", "s1", 1, "Title"), SETTINGS.caps)
    publishing = stream.attach(stream.admitted, StagedPublisher(), 0.0)
    output = StagedOutput()
    stream.add(output)

    def sends(seconds: int) -> None:
        for index in range(seconds * 30):
            stream.unit(publishing, video(0, key=not index, data=bytes(8_000_000 // 8 // 30)), index / 30)

    with pytest.raises(TooMuch, match="12000 kbit a second of its own clock"):
        sends(60)
    assert sum(len(unit.data) for unit in output.units) < 5.1 * 12_000 * 125


async def test_more_kbit_than_allowed_end_the_publisher() -> None:
    stage = Stage(StreamsSettings(Caps(100, 2_073_600), 2, 30))
    publisher = StagedPublisher()
    intake = await stage.publish(publisher)
    intake.unit(video(0, key=True, data=b"v" * 1_000))
    intake.unit(video(FRAME, data=b"v" * 100_000))  # of 62,500 in five seconds
    assert publisher.closed == "refused"
    assert len(stage.outputs[0].units) == 1
    await stage.close()


async def test_an_output_that_fails_fails_alone() -> None:
    stage = Stage()
    intake = await stage.publish()
    stream = stage.streams.get("room")
    assert stream is not None
    broken, late = StagedOutput(), StagedOutput("opus")
    broken.fails = True
    stream.add(broken)
    for unit in units(0.5):
        intake.unit(unit)
    stream.add(late)
    assert stream.failed_outputs == 1
    assert broken.events == ["ended failed"], "whoever is behind it hears that nothing more comes"
    assert len(stage.outputs[0].units) > 20
    assert late.units[0].key
    assert {unit.kind for unit in late.units} == {"video"}
    await stage.close()


async def test_health_is_reported_and_lost_where_no_gateway_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEALTH_SECONDS", 0.01)
    stage = Stage()
    running = asyncio.create_task(stage.streams.run())
    intake = await stage.publish()
    for unit in units(0.5):
        intake.unit(unit)
    stage.gate.away = True
    await asyncio.sleep(0.03)
    assert stage.gate.reports == []
    stage.gate.away = False
    await until(lambda: stage.gate.reports)
    report = stage.gate.reports[0]
    assert (report["type"], report["room"], report["width"], report["video"]) == ("live.health", "room", 640, "h264")
    running.cancel()
    await stage.close()


async def test_a_process_that_leaves_tells_publishers_and_a_gateway() -> None:
    stage = Stage()
    publisher = StagedPublisher()
    intake = await stage.publish(publisher)
    intake.unit(video(0, key=True))
    await stage.close()
    assert publisher.closed == "leaving"
    assert stage.gate.told[-1] == ("left", "room", "s1", 1, "leaving")
    assert stage.outputs[0].events == ["ended leaving"]


async def test_a_stop_that_comes_before_the_answer_to_its_publisher_counts() -> None:
    """Another gateway may have said so: the publisher was admitted, and banned, before the process heard of either."""
    stage = Stage()
    publisher = StagedPublisher()
    await stage.streams.stop("room", 1, "banned")
    with pytest.raises(Refused, match="stopped"):
        await stage.publish(publisher)
    assert stage.streams.get("room") is None
    await stage.publish()
    assert stage.streams.publishers == 1, "a later one is let in"
    await stage.close()


async def test_rooms_that_were_stopped_are_remembered_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_STOPPED", 1)
    stage = Stage()
    await stage.streams.stop("room", 1, "stopped")
    await stage.streams.stop("another", 1, "stopped")
    await stage.publish()
    await stage.close()
