"""A real nginx with its RTMP module: where streams are pushed, and what takes encoders in front of us."""

import asyncio
import os
import re
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from loadtest.ports import free_port
from tests.relay.rtmp.support import until

CONFIG = """load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
{user}pid {folder}/nginx.pid; daemon off; master_process off; error_log {folder}/error.log info;
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{port};
  application live {{ live on; record all; record_path {folder}; record_unique on; }} }} }}
"""


class NginxRtmp:
    """Records each connection's stream as an FLV file in its folder."""

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        self._process: asyncio.subprocess.Process | None = None
        folder.mkdir(exist_ok=True)
        user = "user root; " if os.getuid() == 0 else ""
        (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, port=self.port, user=user))

    async def start(self) -> None:
        command = (
            "nginx",
            "-p",
            f"{self.folder}/",
            "-c",
            f"{self.folder}/nginx.conf",
            "-e",
            f"{self.folder}/error.log",
        )
        self._process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
        await until(lambda: listens(self.port))

    async def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        await self._process.wait()
        self._process = None

    def signal(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)

    async def close(self) -> None:
        if self._process is not None:
            await self.stop()

    def recordings(self) -> list[Path]:
        return sorted(self.folder.glob("*.flv"), key=lambda path: path.stat().st_mtime)


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine (IPv4)."""
    return re.search(rf":{port:04X} 00000000:0000 0A", Path("/proc/net/tcp").read_text()) is not None


@asynccontextmanager
async def nginx_rtmp() -> AsyncIterator[NginxRtmp]:
    with tempfile.TemporaryDirectory(prefix="galaxy-rtmp-") as folder:
        server = NginxRtmp(Path(folder))
        await server.start()
        try:
            yield server
        finally:
            await server.close()
