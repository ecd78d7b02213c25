"""WHIP and WHEP through gateway and media process, with aiortc on both sides; and an encoder watched by WHEP."""

from pathlib import Path

import pytest

from tests.relay.rtc.support import until
from tests.support.live import LiveServer, creator, encoder
from tests.support.webrtc import publishing, watching


async def test_a_browser_streams_and_browsers_watch(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana, publishing(ana) as published:
            assert published.status_code == 201, published.text
            await ana.until("live.started")
            viewer = await ana.shown()  # the same stream by fMP4
            await viewer.close()
            async with watching(ana, "bob") as (bob, first), watching(ana, "cid") as (cid, second):
                assert (first.status_code, second.status_code) == (201, 201), first.text
                await until(lambda: min(*bob.frames.values(), *cid.frames.values()) > 30)
                gone = await ana.client.delete(first.headers["Location"])
                assert gone.status_code == 200
                await until(lambda: bob.peer.connectionState in ("closed", "failed"))
                await ana.command(type="member.ban", room=ana.room, user="cid")
                await until(lambda: cid.peer.connectionState in ("closed", "failed"))
            async with watching(ana, "cid") as (_, refused):
                assert refused.status_code in (403, 404)
            assert (await ana.client.delete(published.headers["Location"])).status_code == 200
            await ana.until("live.started", "live.interrupted")


@pytest.mark.parametrize("b_frames", [False, True])
async def test_an_encoder_is_watched_by_webrtc_where_it_has_no_b_frames(tmp_path: Path, b_frames: bool) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address(), b_frames=2 if b_frames else 0):
                await ana.until("live.started")
                viewer = await ana.shown()
                await viewer.close()
                async with watching(ana, "bob") as (bob, answer):
                    if b_frames:
                        assert answer.status_code == 503
                        assert "B-frames" in answer.text
                    else:
                        assert answer.status_code == 201, answer.text
                        await until(lambda: min(bob.frames.values()) > 30)
