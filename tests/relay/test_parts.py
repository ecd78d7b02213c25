"""Whatever fails in a stream's parts, whoever is told of them hears their end."""

import pytest

from relay import h264
from relay.feed_values import Over, Told
from relay.parts import Parts
from relay.units import Unit
from tests.relay.rtmp.test_tags import PPS, SPS


class Heard(list[Told]):
    tell = list.append


def begun() -> tuple[Parts, Heard]:
    told = Heard()
    parts = Parts(lambda: [told])
    config = h264.config_of([SPS], [PPS])
    for index in range(90):
        key = index % 30 == 0
        data = h264.join_lengths([b"\x65slice" if key else b"\x41slice"])
        parts.unit(Unit("video", index * 3_000, index * 3_000, data, key, config))
    assert told
    return parts, told


def test_the_end_is_told_though_what_is_left_cannot_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    parts, told = begun()

    def broken(*_: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("relay.cutter.Cutter.flush", broken)
    with pytest.raises(ValueError, match="broken"):
        parts.ended("stopped")
    assert told[-1] == Over("stopped")


@pytest.mark.parametrize(("sps", "pps"), [(32, 1), (1, 256)])
def test_parameter_sets_that_no_record_holds_are_refused(sps: int, pps: int) -> None:
    with pytest.raises(ValueError, match="more parameter sets"):
        h264.config_of([SPS] * sps, [PPS] * pps)


def test_the_largest_picture_of_all_parameter_sets_counts() -> None:
    """640 x 360 and 1280 x 720: slices may use either."""
    large = bytes.fromhex("6764001facd9405005bb0110000003001000000303c0f1831960")
    config = h264.config_of([SPS, large], [PPS])
    assert (config.width, config.height) == (1_280, 720)


async def test_sinks_are_made_with_the_first_unit() -> None:
    """A stream that is said to flow is known to edge processes by then, though nothing of it has been cut yet."""
    told, made = Heard(), 0

    def begin() -> list[Heard]:
        nonlocal made
        made += 1
        return [told]

    parts = Parts(begin)
    parts.unit(Unit("video", 0, 0, h264.join_lengths([b"\x65slice"]), True, h264.config_of([SPS], [PPS])))
    assert (made, told) == (1, [])
    parts.ended("stopped")
    assert told[-1] == Over("stopped")
