"""Another project's WHIP client, with another ICE than browsers' and aiortc's: Debian's simple-whip-client."""

import signal
from pathlib import Path

import pytest

from tests.relay.rtc.support import until
from tests.support.live import LiveServer, creator, ended
from tests.support.webrtc import watching
from tests.support.whip_client import whip_client


@pytest.mark.parametrize("trickle", [True, False])
async def test_simple_whip_client_publishes(tmp_path: Path, trickle: bool) -> None:
    # It has no candidate at the loopback interface.
    with LiveServer(tmp_path / "data", host="0.0.0.0") as server:  # noqa: S104
        async with creator(server) as ana:
            key = (await ana.command(type="live.key", room=ana.room))["key"]
            url = f"{server.url}/v1/rooms/{ana.room}/whip"
            with whip_client(tmp_path, url, key, trickle=trickle) as client:
                await ana.until("live.started")
                viewer = await ana.shown()
                await viewer.close()
                async with watching(ana, "bob") as (bob, answer):
                    assert answer.status_code == 201, answer.text
                    await until(lambda: min(bob.frames.values()) > 30)
                client.send_signal(signal.SIGINT)
                await ended(client)
                assert client.returncode == 0
            await ana.until("live.started", "live.interrupted")
