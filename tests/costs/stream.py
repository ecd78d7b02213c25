"""What a viewer by fMP4 over WebSocket costs: `python -m tests.costs.stream --viewers 2000 --tls --rtmp`.

ffmpeg publishes 600 kbit/s by RTMP to a whole server; so many sockets watch, and a thread throws away what they are
sent. Prints the share of a core that the edge process takes, and how many viewers would fill one; with `--tls` also
that of an nginx with one worker that ends TLS before it; with `--rtmp` that of an nginx-rtmp to which the same is
published, and from which as many play by RTMP. Whoever is measured has one core, all else the other.
"""

import argparse
import asyncio
import os
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.ports import free_port
from loadtest.processes import cpu_seconds
from tests.costs import tables
from tests.costs.crowd import Drain, play, watch
from tests.costs.tables import Table
from tests.support.certificates import self_signed
from tests.support.live import Creator, LiveServer, creator

KBIT = 600
MEASURED, OTHERS = 0, 1
SETTLE_SECONDS = 5.0
TLS = """pid {folder}/nginx.pid; daemon off; worker_processes 1; error_log {folder}/error.log; {user}
events {{ worker_connections 20000; }} worker_rlimit_nofile 45000;
http {{ access_log off; server {{ listen 127.0.0.1:{port} ssl;
  ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
  location / {{ proxy_pass http://127.0.0.1:{edge}; proxy_http_version 1.1; proxy_buffering off;
    proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 60s; }} }} }}
"""
RTMP = """load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
pid {folder}/nginx.pid; daemon off; worker_processes 1; error_log {folder}/error.log; {user}
events {{ worker_connections 20000; }} worker_rlimit_nofile 45000;
rtmp {{ server {{ listen 127.0.0.1:{port}; chunk_size 4096; application live {{ live on; }} }} }}
"""


def publish(address: str) -> list[str]:
    picture = ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=30", "-f", "lavfi", "-i", "sine=sample_rate=48000"]
    rate = ["-b:v", f"{KBIT - 64}k", "-minrate", f"{KBIT - 64}k", "-maxrate", f"{KBIT - 64}k", "-bufsize", "300k"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-x264-params", "nal-hrd=cbr", "-c:a", "aac"]
    return ["ffmpeg", "-loglevel", "quiet", "-re", *picture, *rate, *codecs, "-b:a", "64k", "-f", "flv", address]


def pin(pid: int, core: int) -> None:
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(task.name), {core})


@contextmanager
def nginx(config: str, **names: object) -> Iterator[tuple[int, int]]:
    """One of its own: the pid of its worker, and its port."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, port = Path(name), free_port()
        self_signed(folder)
        user = "user root;" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(config.format(folder=folder, port=port, user=user, **names))
        command = ["nginx", "-p", f"{folder}/", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
                while not (found := children.read_text().split()):
                    assert process.poll() is None, (folder / "error.log").read_text()
                yield int(found[0]), port
            finally:
                process.terminate()


async def measure(
    names: dict[str, int], viewers: int, seconds: float, join: Callable[[], socket.socket], table: Table
) -> None:
    """Adds a row for each of these processes, by name, while so many watch."""
    pids = list(names.values())
    drain, socks = Drain(), []
    drain.start()
    for pid in pids:
        pin(pid, MEASURED)
    for _ in range(viewers):
        sock = await asyncio.to_thread(join)
        drain.add(sock)
        socks.append(sock)
    await asyncio.sleep(SETTLE_SECONDS)
    used, received = [cpu_seconds(pid) for pid in pids], drain.bytes
    await asyncio.sleep(seconds)
    shares = [(cpu_seconds(pid) - before) / seconds for pid, before in zip(pids, used, strict=True)]
    kbit = (drain.bytes - received) * 8 / 1_000 / seconds / viewers
    drain.going = False
    drain.join()
    for sock in socks:
        sock.close()
    for name, share in zip(names, shares, strict=True):
        table.add(name, viewers, f"{kbit:.0f}", drain.ended, f"{share:.1%}", f"{viewers / share:,.0f}")


async def measure_all(args: argparse.Namespace, table: Table) -> None:
    os.sched_setaffinity(0, {OTHERS})
    viewers, seconds = args.viewers, args.seconds
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data,
        LiveServer(Path(data), {"GALAXY_RELAY__DVR_SECONDS": "0", "GALAXY_RELAY__RECORD": "false"}) as server,
    ):
        async with creator(server) as ana:
            encoding = publish(await ana.address())
            with subprocess.Popen(encoding, stdin=subprocess.DEVNULL) as encoder:  # noqa: ASYNC220 - it waits for nothing
                await ana.until("live.started")
                (edge,) = server.pids("edge")
                host, port, path = await place(ana)
                await measure(
                    {"edge process, by fMP4": edge}, viewers, seconds, lambda: watch(host, port, path, None), table
                )
                if args.tls:
                    context = ssl._create_unverified_context()  # noqa: S323 - of the nginx below
                    with nginx(TLS, edge=port) as (worker, front):
                        both = {"edge process behind nginx": edge, "nginx, which ends TLS before it": worker}
                        await measure(both, viewers, seconds, lambda: watch("127.0.0.1", front, path, context), table)
                encoder.kill()
    if args.rtmp:
        with nginx(RTMP) as (worker, front):
            encoding = publish(f"rtmp://127.0.0.1:{front}/live/one")
            with subprocess.Popen(encoding, stdin=subprocess.DEVNULL) as encoder:  # noqa: ASYNC220 - it waits for nothing
                await measure(
                    {"nginx-rtmp, players by RTMP": worker},
                    viewers,
                    seconds,
                    lambda: play("127.0.0.1", front, "live", "one"),
                    table,
                )
                encoder.kill()


async def place(ana: Creator) -> tuple[str, int, str]:
    """Host, port and path with a pass of what is streamed, at the edge."""
    await (await ana.shown()).close()
    index = await ana.client.get(f"/v1/rooms/{ana.room}/hls/index.m3u8")
    at = urlsplit(index.headers["location"])
    return at.hostname or "127.0.0.1", at.port or 80, f"/v1/rooms/{ana.room}/stream?{at.query}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--viewers", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--rtmp", action="store_true")
    args = tables.parse(parser)
    table = Table("stream", args.docs, "server", "viewers", "kbit/s each", "ended", "of a core", "viewers a core")
    asyncio.run(measure_all(args, table))
    table.publish()


if __name__ == "__main__":
    main()
