"""coturn, which lets in whom a shared secret has made credentials for, until their time is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from loadtest.ports import free_port

SECRET = "of the server and coturn"


@asynccontextmanager
async def coturn(folder: Path) -> AsyncIterator[str]:
    """Its URL, by UDP. It relays to this machine, too."""
    port = free_port()
    log = folder / "coturn.log"
    process = await asyncio.create_subprocess_exec(
        "turnserver", "-n", "--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=galaxy",
        "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", f"--listening-port={port}", "--allow-loopback-peers",
        "--no-tls", "--no-dtls", "--no-cli", f"--log-file={log}", "--simple-log", f"--pidfile={folder / 'coturn.pid'}",
        f"--userdb={folder / 'coturn.db'}",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield f"turn:127.0.0.1:{port}?transport=udp"
    finally:
        process.terminate()
        await process.wait()
