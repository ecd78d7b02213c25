"""Audio that is transcoded stays where it was on the clock: a beep a second, by ffmpeg, heard at the same times."""

import io
import subprocess
from itertools import pairwise
from typing import Any, Literal

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext
from msgspec.structs import replace

from relay.aac import read_specific
from relay.audio import AudioLane, _Transcoder
from relay.units import HZ, AudioConfig, Unit

Codec = Literal["aac", "opus"]
STEP = {"aac": 1_920, "opus": 1_800}


def beeps(codec: Codec, rate: int = 48_000, seconds: int = 4) -> list[Unit]:
    """Stereo, 50 ms of 1 kHz at each whole second."""
    tone = f"aevalsrc='if(lt(mod(t,1),0.05),sin(2*PI*1000*t),0)':s={rate}:d={seconds}"
    encoder = "libopus" if codec == "opus" else "aac"
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", tone, "-ac", "2", "-c:a", encoder, "-f", "matroska", "-"],
        capture_output=True,
        check=True,
    ).stdout
    with av.open(io.BytesIO(made), "r") as container:
        stream = container.streams.audio[0]
        specific = stream.codec_context.extradata
        config = AudioConfig("opus", 48_000, 2) if codec == "opus" else read_specific(bytes(specific or b""))
        times = [(round(p.pts * p.time_base * HZ), bytes(p)) for p in container.demux(stream) if p.pts is not None]
    return [Unit("audio", at, at, data, True, config) for at, data in times]


def heard(units: list[Unit]) -> list[float]:
    """When beeps begin, in seconds."""
    config = units[0].config
    assert isinstance(config, AudioConfig)
    decoder = av.CodecContext.create("libopus" if config.codec == "opus" else "aac", "r")
    assert isinstance(decoder, AudioCodecContext)
    decoder.sample_rate, decoder.layout = config.rate, "stereo"
    if config.specific:
        decoder.extradata = config.specific
    begun: list[float] = []
    last = -1.0
    for unit in units:
        for frame in decoder.decode(av.Packet(unit.data)):
            samples: np.ndarray[Any, Any] = np.abs(frame.to_ndarray().astype(float))
            loud = samples.max(axis=0) if samples.shape[0] > 1 else samples[0].reshape(-1, 2).max(axis=1)
            scale = 32_768 if frame.format.name.startswith("s16") else 1
            for index in np.flatnonzero(loud > 0.2 * scale):
                at = unit.pts / HZ + index / config.rate
                if at - last > 0.5:
                    begun.append(at)
                last = at
    return begun


def told(reason: str) -> None:
    pytest.fail(reason)


@pytest.mark.parametrize(
    ("source", "rate", "target"), [("aac", 48_000, "opus"), ("aac", 44_100, "opus"), ("aac", 44_100, "aac")]
)
def test_what_is_heard_stays_where_it_was(source: Codec, rate: int, target: Codec) -> None:
    units = beeps(source, rate)
    lane = AudioLane(target, told)

    made = [one for unit in units for one in lane.unit(unit)]

    assert {b.pts - a.pts for a, b in pairwise(made)} == {STEP[target]}
    assert heard(made) == pytest.approx(heard(units), abs=0.005)


@pytest.mark.parametrize("seconds", [0.6, 3.0])
def test_sound_that_comes_after_its_pictures_is_no_silence(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    begin = _Transcoder.__init__

    def counted(self: _Transcoder, config: AudioConfig, target: Codec) -> None:
        begun.append(target)
        begin(self, config, target)

    monkeypatch.setattr(_Transcoder, "__init__", counted)
    units = beeps("aac", 44_100)
    lane = AudioLane("aac", told)

    made: list[Unit] = []
    for unit in units:
        made += lane.advance(unit.pts + round(seconds * HZ))
        made += lane.unit(unit)

    assert {b.pts - a.pts for a, b in pairwise(made)} == {STEP["aac"]}
    assert heard(made) == pytest.approx(heard(units), abs=0.005)
    assert len(begun) == 1
    last = made[-1].pts
    made += lane.advance(units[-1].pts + round(seconds * HZ) + 2 * HZ)
    assert made[-1].pts > last + HZ // 2, "then it is muted"


def test_opus_of_rtp_is_put_before_its_encoders_look_ahead() -> None:
    """RTP stamps a packet with the moment of its samples; what comes out of the decoder is 6.5 ms later than that."""
    units = beeps("opus")
    lane = AudioLane("aac", told)

    made = [one for unit in units for one in lane.unit(unit)]

    assert heard(made)[1:] == pytest.approx([at - 312 / 48_000 for at in heard(units)][1:], abs=0.005)


def test_nothing_is_before_the_stream() -> None:
    """Where audio comes first, its first sample is at 0, and the encoder's first frame would be before that."""
    units = beeps("opus")
    began = units[0].pts
    lane = AudioLane("aac", pytest.fail)
    made = [one for unit in units for one in lane.unit(replace(unit, pts=unit.pts - began, dts=unit.dts - began))]
    assert 0 <= made[0].pts < STEP["aac"]


@pytest.mark.parametrize("codec", ["aac", "opus"])
def test_what_is_wanted_as_it_comes_is_passed_on(codec: Codec) -> None:
    units = [unit for unit in beeps(codec) if unit.pts >= 0]
    lane = AudioLane(codec, told)

    assert [one for unit in units for one in lane.unit(unit)] == units
    assert lane.advance(units[-1].pts + 10 * HZ) == []


def test_a_hole_is_silence() -> None:
    units = [unit for unit in beeps("aac") if not 1.5 * HZ < unit.pts < 1.9 * HZ]
    lane = AudioLane("opus", told)

    made = [one for unit in units for one in lane.unit(unit)]

    assert {b.pts - a.pts for a, b in pairwise(made)} == {STEP["opus"]}
    assert heard(made) == pytest.approx(heard(units), abs=0.005)


def test_a_muted_track_is_silence_up_to_where_the_pictures_are() -> None:
    units = beeps("opus")
    lane = AudioLane("aac", told)
    made = [one for unit in units for one in lane.unit(unit)]

    silence: list[Unit] = []
    shown = made[-1].pts + 5 * HZ
    while more := lane.advance(shown):
        assert more[-1].pts - more[0].pts < 1.2 * HZ, "a picture that leaps costs a bounded time"
        silence += more

    assert {b.pts - a.pts for a, b in pairwise(made + silence)} == {STEP["aac"]}
    assert silence[-1].pts > made[-1].pts + 4 * HZ
    assert heard(made + silence) == heard(made)


def test_a_track_that_comes_back_after_a_minute_begins_anew() -> None:
    first, again = beeps("aac", seconds=1), beeps("aac", seconds=1)
    lane = AudioLane("opus", told)
    made = [one for unit in first for one in lane.unit(unit)]
    later = [Unit("audio", u.pts + 200 * HZ, u.dts + 200 * HZ, u.data, True, u.config) for u in again]

    after = [one for unit in later for one in lane.unit(unit)]

    assert made[-1].pts < 2 * HZ
    assert after[0].pts > 199 * HZ
    assert len(after) < 2 * len(made)


def test_audio_that_cannot_be_decoded_is_left_out_and_told_of() -> None:
    good = beeps("aac")
    problems: list[str] = []
    lane = AudioLane("opus", problems.append)
    broken = Unit("audio", good[20].pts, good[20].dts, b"\xff" * 40, True, good[20].config)

    made = [one for unit in [*good[:20], broken, *good[21:]] for one in lane.unit(unit)]

    assert problems
    assert {b.pts - a.pts for a, b in pairwise(made)} == {STEP["opus"]}


def test_more_sound_than_there_is_time_for_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets that last 21 ms, one each millisecond; then as they should be."""
    units = beeps("aac", 48_000)
    problems: list[str] = []
    lane = AudioLane("opus", problems.append)
    decoded: list[int] = []
    decode = _Transcoder.unit

    def counted(self: _Transcoder, unit: Unit) -> list[Unit]:
        decoded.append(unit.pts)
        return decode(self, unit)

    monkeypatch.setattr(_Transcoder, "unit", counted)
    for at in range(4_000):
        lane.unit(replace(units[at % len(units)], pts=at * HZ // 1_000, dts=at * HZ // 1_000))
    assert set(problems) == {"aac: more sound than time"}
    assert len(decoded) <= (2 * 4 + 2 * 5) * 48_000 / 1_024 + 2
    assert len(decoded) + len(problems) == 4_000
    problems.clear()
    later = [replace(unit, pts=unit.pts + 5 * HZ, dts=unit.dts + 5 * HZ) for unit in units]
    assert [one for unit in later for one in lane.unit(unit)]
    assert problems == []


def test_sound_that_no_decoder_is_made_for_is_left_out_until_its_settings_change() -> None:
    good = beeps("aac", seconds=1)
    problems: list[str] = []
    lane = AudioLane("opus", problems.append)
    bad = AudioConfig("aac", 48_000, 2, b"\xff\xff")
    assert [one for unit in good for one in lane.unit(replace(unit, config=bad))] == []
    assert problems
    assert [one for unit in good for one in lane.unit(unit)]
