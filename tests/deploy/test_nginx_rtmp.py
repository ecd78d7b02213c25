"""nginx-rtmp in front of us, with the configuration that is shipped."""

import asyncio
import os
import signal
import tempfile
from pathlib import Path

from loadtest.peers.peer import free_port
from tests.relay.push.nginx import listens
from tests.relay.rtmp.support import AAC, FFMPEG, H264, KEY, PICTURE, TONE, program, running, said, until
from tests.support.nginx import put

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx-rtmp.conf"


async def test_streams_are_passed_on_under_their_key() -> None:
    async with running() as server:
        with tempfile.TemporaryDirectory(prefix="galaxy-rtmp-") as name:
            folder, port = Path(name), free_port()
            text = put(SHIPPED.read_text(), "listen 1935;", f"listen 127.0.0.1:{port};")
            text = put(text, "127.0.0.1:1936/live", f"127.0.0.1:{server.port}/live")
            user = "user root;" if os.getuid() == 0 else ""
            (folder / "nginx.conf").write_text(
                f"load_module /usr/lib/nginx/modules/ngx_rtmp_module.so; {user} pid {folder}/nginx.pid; daemon off;\n"
                f"master_process off; error_log {folder}/error.log; events {{}}\n{text}"
            )
            nginx = ("nginx", "-p", f"{folder}/", "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log")
            async with program(*nginx) as process:
                await until(lambda: listens(port))
                url = f"rtmp://127.0.0.1:{port}/live/{KEY}"
                command = (*FFMPEG, "-re", *PICTURE, *TONE, "-t", "4", *H264, *AAC, "-f", "flv", url)
                async with program(*command) as ffmpeg:
                    assert await said(ffmpeg) == ""
                await until(lambda: server.streams and server.streams[0].reasons)
                process.send_signal(signal.SIGTERM)
                await asyncio.wait_for(process.wait(), 30)
        [stream] = server.streams
        assert stream.claim.key == KEY
        assert len(stream.track("video")) > 60
        assert stream.track("video")[0].key
        assert len(stream.track("audio")) > 90
