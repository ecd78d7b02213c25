"""Real encoders publish: ffmpeg, GStreamer's rtmp2sink, librtmp (GStreamer's rtmpsink)."""

import itertools

import pytest

from relay.units import AudioConfig, VideoConfig
from tests.relay.rtmp.support import AAC, FFMPEG, H264, PICTURE, TONE, Stream, program, running, said, until


def check(stream: Stream, *, b_frames: bool) -> None:
    """What every publisher's units are, whoever the encoder is."""
    video, audio = stream.track("video"), stream.track("audio")
    assert video[0].key
    assert isinstance(video[0].config, VideoConfig)
    assert (video[0].config.width, video[0].config.height) == (640, 360)
    assert isinstance(audio[0].config, AudioConfig)
    for track in (video, audio):
        assert len({id(unit.config) for unit in track}) == 1
        assert all(later.dts > earlier.dts for earlier, later in itertools.pairwise(track))
    assert all(unit.pts == unit.dts for unit in audio)
    assert any(unit.pts > unit.dts for unit in video) == b_frames
    shown = sorted(unit.pts for unit in video)
    steps = [later - earlier for earlier, later in itertools.pairwise(shown)]
    assert all(abs(step - 3_000) <= 90 for step in steps)
    assert abs(video[0].pts - audio[0].pts) < 9_000


async def test_ffmpeg_publishes_with_b_frames() -> None:
    async with running() as server:
        command = (*FFMPEG, *PICTURE, *TONE, "-t", "4", *H264, *AAC, "-f", "flv", server.url)
        async with program(*command) as ffmpeg:
            assert await said(ffmpeg) == ""
        [stream] = server.streams
        assert len(stream.track("video")) == 120
        assert sum(unit.key for unit in stream.track("video")) == 4
        assert abs(len(stream.track("audio")) - 4 * 48_000 / 1_024) < 3
        check(stream, b_frames=True)
        assert stream.reasons == ["gone"]
        assert stream.publisher.received().bytes > 50_000


RAW = ("video/x-raw,width=640,height=360,framerate=30/1", "audio/x-raw,rate=48000,channels=1")


@pytest.mark.parametrize("sink", ["rtmp2sink", "rtmpsink"])  # the latter is librtmp
async def test_gstreamer_publishes(sink: str) -> None:
    async with running() as server:
        async with program(
            "gst-launch-1.0", "-q",
            "flvmux", "name=mux", "streamable=true", "!", sink, f"location={server.url}",
            "videotestsrc", "num-buffers=90", "!", RAW[0], "!", "openh264enc", "gop-size=30", "!", "h264parse", "!",
            "mux.",
            "audiotestsrc", "num-buffers=140", "samplesperbuffer=1024", "!", RAW[1], "!", "voaacenc", "!", "aacparse",
            "!", "mux.",
        ) as gstreamer:  # fmt: skip
            assert "ERROR" not in await said(gstreamer)
            assert gstreamer.returncode == 0
        await until(lambda: server.streams and server.streams[0].reasons)
        [stream] = server.streams
        assert len(stream.track("video")) == 90
        assert len(stream.track("audio")) > 130
        check(stream, b_frames=False)
