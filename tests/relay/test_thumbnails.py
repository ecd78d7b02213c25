"""Pictures of a stream's keyframes, made by ffmpeg, and what becomes of those that are broken."""

import asyncio
import io
import subprocess
from concurrent.futures import ThreadPoolExecutor

import av
import pytest
from av.video.frame import VideoFrame

from relay import h264
from relay.thumbnails import Thumbnails, picture
from relay.units import HZ, Unit, VideoConfig


def keyframe(size: str = "1280x720", color: str = "red", bitstream: str = "null") -> Unit:
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"color={color}:size={size}", "-frames:v", "1", "-c:v",
         "libx264", "-pix_fmt", "yuv420p", "-bsf:v", bitstream, "-f", "h264", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    nals = [nal.rstrip(b"\0") for nal in made.split(b"\0\0\1") if nal.rstrip(b"\0")]
    kinds = {kind: [nal for nal in nals if h264.nal_type(nal) == kind] for kind in (h264.SPS, h264.PPS, h264.IDR)}
    config = h264.config_of(kinds[h264.SPS], kinds[h264.PPS])
    return Unit("video", 0, 0, h264.join_lengths(kinds[h264.IDR]), True, config)


def later(unit: Unit, dts: int) -> Unit:
    return Unit("video", dts, dts, unit.data, unit.key, unit.config)


@pytest.mark.parametrize(
    ("size", "shown"), [("1280x720", (640, 360)), ("320x180", (320, 180)), ("360x640", (360, 640))]
)
def test_a_picture_is_webp_of_the_keyframe(size: str, shown: tuple[int, int]) -> None:
    made = picture(keyframe(size))
    with av.open(io.BytesIO(made), "r") as container:
        frame = next(container.decode(video=0))
        assert isinstance(frame, VideoFrame)
        assert (frame.width, frame.height) == shown
        red, green, blue = frame.to_ndarray(format="rgb24")[10, 10]
        assert red > 200
        assert max(green, blue) < 50


def test_pictures_larger_than_the_config_says_are_not_decoded() -> None:
    """Its own parameter sets are in the data, after a start code within a NAL unit."""
    small, large = keyframe("320x180"), keyframe("1280x720")
    config = large.config
    assert isinstance(config, VideoConfig)
    hidden = h264.annex_b([b"\x06sei", *config.sps, *config.pps, *h264.split_lengths(large.data)])[4:]
    with pytest.raises(ValueError, match="h264"):
        picture(Unit("video", 0, 0, h264.join_lengths([hidden]), True, small.config))


def test_large_pictures_of_which_little_is_shown_are_refused() -> None:
    with pytest.raises(ValueError, match="320 × 180, cut from far larger ones"):
        keyframe("1280x720", bitstream="h264_metadata=crop_right=960:crop_bottom=540")


async def test_one_every_ten_seconds_and_none_after_the_end() -> None:
    unit = keyframe("320x180")
    made: asyncio.Queue[bytes] = asyncio.Queue()
    with ThreadPoolExecutor(1) as executor:
        thumbnails = Thumbnails(executor, made.put_nowait)
        thumbnails.unit(unit)
        await asyncio.wait_for(made.get(), 20)
        thumbnails.unit(later(unit, 9 * HZ))
        thumbnails.unit(later(unit, 10 * HZ))
        await asyncio.wait_for(made.get(), 20)
        thumbnails.unit(later(unit, 20 * HZ))
        thumbnails.ended("stopped")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert made.empty()


async def test_a_broken_keyframe_is_counted_and_the_next_one_tried() -> None:
    unit = keyframe("320x180")
    broken = Unit("video", 0, 0, h264.join_lengths([b"\x65" + b"\xff" * 50]), True, unit.config)
    made: asyncio.Queue[bytes] = asyncio.Queue()
    with ThreadPoolExecutor(1) as executor:
        thumbnails = Thumbnails(executor, made.put_nowait)
        thumbnails.unit(broken)
        async with asyncio.timeout(20):
            while not thumbnails.failures:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        thumbnails.unit(later(unit, HZ))
        assert (await asyncio.wait_for(made.get(), 20))[8:12] == b"WEBP"
