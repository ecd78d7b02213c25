"""nginx-rtmp in front of us, with the configuration that is shipped."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from loadtest.ports import free_port
from tests.relay.push.nginx import listens
from tests.relay.rtc.support import until
from tests.support.live import LiveServer, creator, encoder, ended
from tests.support.nginx import put
from tests.support.server import serving

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx-rtmp.conf"


@contextmanager
def nginx_rtmp(gateway: int, rtmp: int) -> Iterator[int]:
    """In front of a server with these ports. Yields its own."""
    with tempfile.TemporaryDirectory(prefix="galaxy-rtmp-") as name:
        folder, port = Path(name), free_port()
        text = put(SHIPPED.read_text(), "listen 1935;", f"listen 127.0.0.1:{port};")
        text = put(text, "127.0.0.1:1936/live", f"127.0.0.1:{rtmp}/live")
        text = put(text, "127.0.0.1:8080/", f"127.0.0.1:{gateway}/")
        user = "user root;" if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"load_module /usr/lib/nginx/modules/ngx_rtmp_module.so; {user} pid {folder}/nginx.pid; daemon off;\n"
            f"master_process off; error_log {folder}/error.log; events {{}}\n{text}"
        )
        command = ["nginx", "-p", f"{folder}/", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
            try:
                yield port
            finally:
                process.terminate()


async def test_streams_are_taken_and_passed_on_under_their_key(tmp_path: Path) -> None:
    with LiveServer(tmp_path) as server:
        async with creator(server) as ana:
            address = urlsplit(await ana.address())
            assert address.port is not None
            with nginx_rtmp(server.port, address.port) as port:
                await until(lambda: listens(port))
                front = f"rtmp://127.0.0.1:{port}/live"
                with encoder(f"{front}/nobodys") as refused:
                    await ended(refused)
                assert refused.returncode != 0
                assert await ana.events() == ["room.created"]
                with encoder(f"{front}/{address.path.rpartition('/')[2]}"):
                    await ana.until("live.started")
                    await (await ana.shown()).close()
                await ana.until("live.started", "live.interrupted")


async def test_nginx_is_answered_as_to_what_it_asks(tmp_path: Path) -> None:
    settings = {"GALAXY_RELAY__PROCESSES": "1"}
    async with serving(tmp_path, settings) as server, httpx.AsyncClient(base_url=server.url) as client:
        for form, status in (
            ({"name": "nobodys"}, 401),
            ({"call": "publish"}, 400),
            ({"name": ["a", "b"]}, 400),
            ({"name": "n", "flashver": "v" * 9_000}, 413),
        ):
            assert (await client.post("/v1/rtmp/on_publish", data=form)).status_code == status
        assert (await client.post("/v1/rtmp/on_publish", json={"name": "n"})).status_code == 400
