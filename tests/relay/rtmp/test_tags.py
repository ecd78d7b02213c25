"""FLV tags into access units, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.aac import write_specific
from relay.h264 import config_of, join_lengths, write_avcc
from relay.rtmp.errors import Unsupported, Violation
from relay.rtmp.flv import write_header, write_metadata, write_unit
from relay.rtmp.tags import TagReader
from relay.units import AudioConfig, Unit, VideoConfig

SPS = bytes.fromhex("6764001eacd940a02ff970110000030001000003003c0f162d96")  # 640 × 360, High
OTHER_SPS = SPS[:3] + b"\x1f" + SPS[4:]  # of another level
PPS = bytes.fromhex("68ebe3cb22c0")
CONFIG = config_of([SPS], [PPS])
AAC = AudioConfig("aac", 48_000, 2, write_specific(48_000, 2))
MOST = 2_073_600
KEY, INTER = b"\x65slice", b"\x41slice"


def reader() -> TagReader:
    made = TagReader(MOST)
    assert made.read(True, 0, write_header(CONFIG)) is None
    assert made.read(False, 0, write_header(AAC)) is None
    return made


@given(st.integers(0, 2**31 - 1), st.integers(-(2**22), 2**22), st.booleans(), st.binary(min_size=1, max_size=30))
def test_units_come_back(at: int, offset: int, key: bool, payload: bytes) -> None:
    tags = reader()
    data = join_lengths([(b"\x65" if key else b"\x41") + payload])
    video = Unit("video", (at + offset) * 90, at * 90, data, key, CONFIG)
    assert tags.read(True, at, write_unit(video)) == video
    audio = Unit("audio", at * 90, at * 90, payload, True, AAC)
    assert tags.read(False, at, write_unit(audio)) == audio


@given(st.integers(0, 2**32 - 1), st.lists(st.tuples(st.booleans(), st.integers(-50, 2**24)), min_size=1, max_size=20))
def test_time_goes_on_over_the_wrap_in_both_tracks(start: int, steps: list[tuple[bool, int]]) -> None:
    tags = reader()
    first: int | None = None
    at = start
    for video, step in [(True, 0), *steps]:
        at += step
        body = b"\x27\1\0\0\0" + join_lengths([INTER]) if video else b"\xaf\1frame"
        unit = tags.read(video, at % 2**32, body)
        assert unit is not None
        first = unit.dts if first is None else first
        assert unit.dts - first == (at - start) * 90


def test_a_config_is_the_same_object_until_it_changes() -> None:
    tags = reader()
    body = b"\x17\1\0\0\0" + join_lengths([KEY])

    def config() -> VideoConfig | AudioConfig:
        unit = tags.read(True, 0, body)
        assert unit is not None
        return unit.config

    first = config()
    assert tags.read(True, 0, write_header(CONFIG)) is None
    assert config() is first
    changed = config_of([OTHER_SPS], [PPS])
    assert tags.read(True, 0, write_header(changed)) is None
    assert config() == changed
    within = tags.read(True, 0, b"\x17\1\0\0\0" + join_lengths([b"\x09\xf0", SPS, PPS, KEY]))
    assert within is not None
    assert within.config == CONFIG
    assert within.data == join_lengths([KEY])
    assert within.key


def test_lengths_of_other_sizes_are_rewritten() -> None:
    tags = TagReader(MOST)
    avcc = write_avcc(CONFIG)
    tags.read(True, 0, b"\x17\0\0\0\0" + avcc[:4] + b"\xfd" + avcc[5:])  # two bytes
    unit = tags.read(True, 0, b"\x17\1\0\0\0" + len(KEY).to_bytes(2) + KEY)
    assert unit is not None
    assert unit.data == join_lengths([KEY])


def test_enhanced_tags_of_h264_and_aac_are_read() -> None:
    tags = TagReader(MOST)
    tags.read(True, 0, b"\x90avc1" + write_avcc(CONFIG))
    tags.read(False, 0, b"\x90mp4a" + AAC.specific)
    coded = tags.read(True, 40, b"\xa1avc1\0\0\x28" + join_lengths([INTER]))
    assert coded == Unit("video", 80 * 90, 40 * 90, join_lengths([INTER]), False, CONFIG)
    untimed = tags.read(True, 40, b"\x93avc1" + join_lengths([KEY]))
    assert untimed == Unit("video", 40 * 90, 40 * 90, join_lengths([KEY]), True, CONFIG)
    assert tags.read(False, 50, b"\x91mp4aframe") == Unit("audio", 50 * 90, 50 * 90, b"frame", True, AAC)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x17",
        b"\x17\2\0\0\0",
        b"\x57\0",
        b"\x94avc1x",
        b"\x27\1\0\0\0",
        b"\x27\1\0\0\0" + join_lengths([b"\x06sei"]),
    ],
)
def test_what_is_no_picture_gives_no_unit(body: bytes) -> None:
    assert reader().read(True, 0, body) is None


def test_what_comes_before_its_header_is_dropped() -> None:
    tags = TagReader(MOST)
    assert tags.read(True, 0, b"\x17\1\0\0\0" + join_lengths([KEY])) is None
    assert tags.read(False, 0, b"\xaf\1frame") is None


@pytest.mark.parametrize(
    ("video", "body", "text"),
    [
        (True, b"\x90hvc1", "video in 'hvc1' is not taken here: set the encoder to H.264"),
        (True, b"\x90av01", "'av01'"),
        (True, b"\x1c\0\0\0\0", "'HEVC'"),
        (True, b"\x12\0", "'Sorenson H.263'"),
        (True, b"\x96avc1", "packets of type 6"),
        (False, b"\x90Opus", "audio in 'Opus' is not taken here: set the encoder to AAC"),
        (False, b"\x2f", "'MP3'"),
    ],
)
def test_other_codecs_are_refused_in_words(video: bool, body: bytes, text: str) -> None:
    with pytest.raises(Unsupported, match=text):
        reader().read(video, 0, body)


def test_large_pictures_are_refused() -> None:
    with pytest.raises(Unsupported, match="pictures of 640 × 360 are too large: at most 1000 pixels"):
        TagReader(1_000).read(True, 0, write_header(CONFIG))


@pytest.mark.parametrize(
    ("video", "body"),
    [(True, b"\x17\0\0\0\0\1"), (True, b"\x17\1\0\0\0\0\0\1\0A"), (False, b"\xaf\0\x2b\x92"), (False, b"\xaf\0")],
)
def test_malformed_tags_are_violations(video: bool, body: bytes) -> None:
    with pytest.raises(Violation):
        reader().read(video, 0, body)


def test_metadata_tells_of_the_tracks_that_there_are() -> None:
    assert write_metadata(CONFIG, AAC) == {
        "width": 640.0, "height": 360.0, "videocodecid": 7.0, "audiocodecid": 10.0, "audiosamplerate": 48_000.0,
        "audiosamplesize": 16.0, "stereo": True, "encoder": "galaxy-live",
    }  # fmt: skip
    assert write_metadata(None, None) == {"encoder": "galaxy-live"}
