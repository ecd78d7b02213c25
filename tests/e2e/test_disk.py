"""Disks that fill up or do not answer, and what a killed media process leaves on them."""

import asyncio
import errno
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from loadtest.ports import free_port
from relay.files import MANIFEST
from tests.e2e.test_live import probed
from tests.media.cycles import read, told
from tests.support.live import PATIENCE, Creator, LiveServer, creator, encoder, kill, parts
from tests.support.peer import greeted
from tests.support.server import token
from tests.support.stalled import stalling_disk, stuck

MEGABYTES, FLOOR = 40, 20


@contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "none", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> None:
    """To below the floor."""
    (disk / "filling").write_bytes(bytes((MEGABYTES - FLOOR + 2) * 1_000_000))


def fail(disk: Path) -> None:
    """As disks do that have errors."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def mend(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    (disk / "filling").unlink(missing_ok=True)


async def plays(ana: Creator) -> None:
    """The only recording."""
    (recording,) = await ana.recordings()
    assert recording["length_ms"] > 1_000
    for path in (recording["hls"], recording["mp4"]):
        there = await ana.client.get(path)
        found = await asyncio.to_thread(probed, there.headers["location"])
        assert sorted({one["codec_name"] for one in found["streams"]}) == ["aac", "h264"]


@pytest.mark.parametrize(
    ("happens", "says"),
    [(fill, "the disk is nearly full ([relay] free_megabytes)"), (fail, "Read-only file system")],
    ids=["full", "read-only"],
)
async def test_a_disk_that_takes_no_more_ends_the_recording_alone(
    tmp_path: Path, happens: Callable[[Path], None], says: str
) -> None:
    with small_disk(tmp_path / "media") as disk:
        settings = {"GALAXY_RELAY__MEDIA_DIR": str(disk), "GALAXY_RELAY__FREE_MEGABYTES": str(FLOOR)}
        with LiveServer(tmp_path / "data", settings) as server:
            async with creator(server) as ana, greeted(server.url, token("ana", name="ana")) as chat:
                with encoder(await ana.address()):
                    await ana.until("live.started")
                    viewer = await ana.shown()
                    await parts(viewer, 25)  # whole segments are on the disk
                    await asyncio.to_thread(happens, disk)
                    warning = await chat.event("live.warning")
                    assert warning["message"] == f"The recording has stopped: {says}."
                    await parts(viewer, 25)
                    await chat.ok("message.send", room=ana.room, text="still here", key="k1")
                    await viewer.close()
                    await asyncio.to_thread(mend, disk)
                    await ana.command(type="live.stop", room=ana.room)
                await plays(ana)


async def recorded(ana: Creator) -> dict[str, Any]:
    """Of a short stream."""
    with encoder(await ana.address()):
        await ana.until("live.started")
        await (await ana.shown()).close()
        await ana.command(type="live.stop", room=ana.room)
    (recording,) = await ana.recordings()
    return recording


async def waiting(port: int) -> int:
    """Bytes that wait for the disk, by the metrics."""
    return read(r"^galaxy_media_disk_waiting_bytes (\S+)", await told(port))


async def test_while_a_disk_does_not_answer_all_else_goes_on_and_then_it_is_recorded(tmp_path: Path) -> None:
    port = free_port()
    with stalling_disk(tmp_path) as disk:
        settings = {"GALAXY_RELAY__MEDIA_DIR": str(disk.path), "GALAXY_SERVER__ADMIN_PORT": str(port)}
        with LiveServer(tmp_path / "data", settings) as server:
            async with creator(server) as ana, creator(server, "ben") as ben, creator(server, "cat") as cat:
                old = await recorded(ana)
                replay = (await ana.client.get(old["hls"])).headers["location"]
                with encoder(await ben.address()):
                    await ben.until("live.started")
                    viewer = await ben.shown()
                    await parts(viewer, 15)
                    disk.stall()
                    async with asyncio.TaskGroup() as tasks, httpx.AsyncClient(timeout=PATIENCE) as client:
                        reads = [tasks.create_task(client.get(replay)) for _ in range(40)]
                        await parts(viewer, 25)
                        assert not any(read.done() for read in reads)
                        assert await waiting(port) > 0
                        await ben.command(type="message.send", room=ben.room, text="still here", key="k1")
                        with encoder(await cat.address()):  # streams begin, too
                            await cat.until("live.started")
                            await (await cat.shown()).close()
                            live = (await cat.client.get(f"/v1/rooms/{cat.room}/hls/index.m3u8")).headers["location"]
                            assert (await client.get(live)).status_code == 200
                        disk.resume()
                        assert {(await read).status_code for read in reads} == {200}
                    await parts(viewer, 5)
                    await viewer.close()
                    await ben.command(type="live.stop", room=ben.room)
                (recording,) = await ben.recordings()
                assert recording["parts"] == 1, "nothing is missing"
                await plays(ben)


async def test_every_process_ends_though_its_disk_does_not_answer(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Those of gateway, media and edge process that are stuck deleting, writing, finding and reading: nobody is killed
    for them.
    """
    with stalling_disk(tmp_path) as disk:
        settings = {"GALAXY_RELAY__MEDIA_DIR": str(disk.path), "GALAXY_SERVER__DRAIN_SECONDS": "1"}
        with LiveServer(tmp_path / "data", settings) as server:
            async with creator(server) as ana, creator(server, "ben") as ben:
                old = await recorded(ana)
                replay = (await ana.client.get(old["hls"])).headers["location"]
                with encoder(await ben.address()):
                    await ben.until("live.started")
                    viewer = await ben.shown()
                    await parts(viewer, 10)
                    disk.stall()
                    reading = asyncio.create_task(ana.client.get(replay))
                    await stuck(*server.pids("edge"))
                    await ana.command(type="recording.delete", room=ana.room, recording=old["id"])
                    with pytest.raises(httpx.ReadError):
                        await reading
                    await stuck(*server.pids("gateway"))
                    await stuck(*server.pids("media"))
                    await viewer.close()
                    assert await asyncio.to_thread(server.signal, signal.SIGTERM) == 0
    assert "worker_killed" not in capfd.readouterr().err


@contextmanager
def reader_of(pipe: Path) -> Iterator[None]:
    """Waits for one, who then waits for what never comes."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            break
    try:
        yield
    finally:
        os.close(writer)


def test_a_media_process_ends_though_it_is_stuck_in_what_the_one_before_has_left(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "media" / "left" / MANIFEST
    manifest.parent.mkdir(parents=True)
    os.mkfifo(manifest)
    settings = {"GALAXY_RELAY__MEDIA_DIR": str(tmp_path / "media"), "GALAXY_SERVER__DRAIN_SECONDS": "1"}
    with LiveServer(tmp_path / "data", settings) as server, reader_of(manifest):
        assert server.signal(signal.SIGTERM) == 0
    assert "worker_killed" not in capfd.readouterr().err


async def test_what_a_killed_media_process_has_recorded_plays(tmp_path: Path) -> None:
    with LiveServer(tmp_path, {"GALAXY_RELAY__GRACE_SECONDS": "1"}) as server:
        async with creator(server) as ana:
            with encoder(await ana.address()):
                await ana.until("live.started")
                viewer = await ana.shown()
                await parts(viewer, 30)
                await viewer.close()
                (media,) = server.pids("media")
                kill(media)
            await ana.until("live.started", "live.interrupted", "live.stopped")
            await plays(ana)
