"""A stream from an encoder to viewers through real processes, and what the death of each of them does to it."""

import asyncio
import json
import re
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.relay.rtc.support import until
from tests.support.live import PATIENCE, Creator, LiveServer, answered, creator, encoder, ended, kill, parts
from tests.support.server import token


async def test_a_stream_is_shown_and_stopped(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()) as publishing:
                await ana.until("live.started")
                viewer = await ana.watch()
                init, *rest = await parts(viewer, 4)
                assert isinstance(init, dict)
                assert (init["type"], init["width"], init["height"]) == ("init", 320, 180)
                assert all(isinstance(one, bytes) for one in rest)

                index = await ana.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8")
                assert index.status_code == 307
                playlist = (await ana.client.get(index.headers["location"])).text
                assert "RESOLUTION=320x180" in playlist
                picture = await ana.poster()
                assert picture[8:12] == b"WEBP"

                await ana.command(type="live.stop", room=ana.room)
                await ended(publishing)
                with pytest.raises(ConnectionClosed):
                    await parts(viewer, 1_000)
                await ana.until("live.started", "live.stopped")
            with encoder(await ana.address()) as refused:
                await ended(refused)
            await ana.command(type="live.start", room=ana.room, title="Again")
            with encoder(await ana.address()):
                await ana.until("live.started", "live.stopped", "live.started")
                await (await ana.shown()).close()


async def test_a_rotated_key_ends_its_publisher(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()) as publishing:
                await ana.until("live.started")
                new = await ana.address(rotate=True)
                await ended(publishing)
            with encoder(new):
                await ana.until("live.started", "live.stopped", "live.started")


async def test_a_media_process_that_is_killed_takes_its_streams_alone_and_they_come_back(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            address = await ana.address()
            with encoder(address) as publishing:
                await ana.until("live.started")
                (media,) = server.pids("media")
                kill(media)
                await ana.command(type="message.send", room=ana.room, text="still here?", key="m1")
                await ended(publishing)
            await ana.until("live.started", "live.interrupted")
            await until(lambda: server.pids("media") not in ([], [media]), PATIENCE)
            with encoder(address):
                await ana.until("live.started", "live.interrupted", "live.resumed")
                await (await ana.shown()).close()


async def test_viewers_of_a_stream_whose_media_process_died_hear_of_its_end(tmp_path: Path) -> None:
    with LiveServer(tmp_path, {"GALAXY_RELAY__GRACE_SECONDS": "1"}) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()) as publishing:
                await ana.until("live.started")
                viewer = await ana.shown()
                (media,) = server.pids("media")
                kill(media)
                await ended(publishing)
            async with asyncio.timeout(PATIENCE):
                said = [json.loads(one)["type"] async for one in viewer if isinstance(one, str)]
            assert said == ["interrupted", "ended"]
            await ana.until("live.started", "live.interrupted", "live.stopped")


async def test_viewers_of_an_edge_process_that_is_killed_are_served_by_the_next(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()) as publishing:
                await ana.until("live.started")
                viewer = await ana.shown()
                (edge,) = server.pids("edge")
                kill(edge)
                with pytest.raises(ConnectionClosed):
                    await parts(viewer, 1_000)
                await until(lambda: server.pids("edge") not in ([], [edge]), PATIENCE)
                await (await ana.shown()).close()
                assert publishing.poll() is None
                await ana.until("live.started")


async def test_streams_go_on_without_a_gateway_which_then_has_its_say(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()) as publishing:
                await ana.until("live.started")
                viewer = await ana.shown()
                (gateway,) = server.pids("gateway")
                kill(gateway)
                await parts(viewer, 10)
                await until(lambda: server.pids("gateway") not in ([], [gateway]), PATIENCE)
                await parts(viewer, 5)
                assert publishing.poll() is None
                await ana.until("live.started")
                await ana.command(type="live.stop", room=ana.room)
                await ended(publishing)
                await ana.until("live.started", "live.stopped")


def probed(source: str) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name:format=duration", "-of", "json", source]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


async def only_for_who_may(ana: Creator, recording: dict[str, Any]) -> None:
    """Every file of a recording wants a pass, whose bearer it is shown to; who has them keeps them for a second."""
    bob = {"Authorization": f"Bearer {token('bob', name='bob')}"}
    playlist = await ana.client.get(recording["hls"], headers=bob, follow_redirects=True)
    names = re.findall(r'URI="([^"]+)"', playlist.text) + [line for line in playlist.text.split() if ".m4s" in line]
    addresses = [playlist.url.join(name) for name in (names[0], names[-1])]
    for address in addresses:
        assert (await ana.client.get(address)).status_code == 200
        assert (await ana.client.get(address.copy_with(query=None))).status_code == 401
    await ana.command(type="recording.update", room=ana.room, recording=recording["id"], listed=False)
    for address in addresses:
        await answered(partial(ana.client.get, address), lambda answer: answer.status_code == 404)


async def test_what_was_streamed_can_be_seen_again(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()) as publishing:
                await ana.until("live.started")
                viewer = await ana.shown()
                await parts(viewer, 10)
                await viewer.close()
                await ana.poster()
                await ana.command(type="live.stop", room=ana.room)
                await ended(publishing)
            (recording,) = await ana.recordings()
            assert recording["length_ms"] > 2_000
            for path in (recording["hls"], recording["mp4"]):
                there = await ana.client.get(path)
                assert there.status_code == 307
                found = await asyncio.to_thread(probed, there.headers["location"])
                assert sorted({one["codec_name"] for one in found["streams"]}) == ["aac", "h264"]
                assert abs(float(found["format"]["duration"]) * 1_000 - recording["length_ms"]) < 200
            picture = await ana.client.get(recording["poster"], follow_redirects=True)
            assert picture.content[8:12] == b"WEBP"

            await only_for_who_may(ana, recording)
            await ana.command(type="recording.delete", room=ana.room, recording=recording["id"])
            assert (await ana.client.get(recording["mp4"], follow_redirects=True)).status_code == 404
            await until(lambda: not any((tmp_path / "media").iterdir()), PATIENCE)


async def test_a_test_that_is_made_public_is_shown_and_recorded_from_then_on(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana, creator(server, "bob") as bob:
            bob.room = ana.room
            await ana.command(type="live.start", room=ana.room, test=True)
            with encoder(await ana.address()) as publishing:
                await (await ana.shown()).close()
                private = await ana.watch()
                with pytest.raises(InvalidStatus):
                    await bob.watch()
                init, *_ = await parts(private, 12)
                assert isinstance(init, dict)
                await ana.command(type="live.start", room=ana.room)
                await ana.until("live.started")
                with pytest.raises(ConnectionClosed):
                    await parts(private, 1_000)
                for viewer in (await bob.shown(), await ana.shown()):
                    await parts(viewer, 10)
                    await viewer.close()
                index = await bob.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8", follow_redirects=True)
                assert "RESOLUTION=320x180" in index.text
                assert publishing.poll() is None
                await ana.command(type="live.stop", room=ana.room)
                await ended(publishing)
            (recording,) = await ana.recordings()
            assert recording["started_at"] >= init["epoch_ms"] + 1_000, "from the last keyframe of the test at most"


async def test_another_owner_who_publishes_has_a_live_of_their_own(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana, creator(server, "bob") as bob:
            bob.room = ana.room
            await bob.command(type="member.join", room=ana.room, key="j")
            await ana.command(type="member.role", room=ana.room, user="bob", role="owner", key="r")
            with encoder(await ana.address()) as first:
                await ana.until("live.started")
                await parts(await ana.shown(), 10)
                with encoder(await bob.address()) as second:
                    await ended(first)
                    await ana.until("live.started", "live.stopped", "live.started")
                    await parts(await ana.shown(), 10)
                    state = (await bob.command(type="live.get", room=ana.room))["stream"]
                    assert (state["state"], state["user"]) == ("flowing", "bob")
                    await ana.command(type="live.stop", room=ana.room)
                    await ended(second)
            found = await ana.recordings(2)
            assert [one["user"] for one in found] == ["bob", "ana"]
            assert len({one["session"] for one in found}) == 2
