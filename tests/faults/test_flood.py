"""2,000 half-open requests and 100 MB of headers leave the server serving, in little memory."""

import asyncio
from pathlib import Path

import httpx

from tests.support.server import ServerProcess

HALF_OPEN = 2_000
FLOODERS = 1_600
HEADERS = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Flood: " + b"x" * 1_000 + b"\r\n"
EACH = 64 * 1024
GROWTH = 64 * 1024 * 1024
"""Bytes that the server may hold for all of it: far less than was sent."""


async def half_open(port: int) -> asyncio.StreamWriter:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/socket HTTP/1.1\r\nHost: a\r\n")
    await writer.drain()
    return writer


async def flood(port: int, at_once: asyncio.Semaphore) -> int:
    """Sends headers without end, until EACH bytes have left or the server has had enough. Returns the bytes sent."""
    async with at_once:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = 0
        try:
            while sent < EACH:
                writer.write(HEADERS)
                await writer.drain()
                sent += len(HEADERS)
        except ConnectionError:
            return sent
        finally:
            writer.close()
        return sent


def resident(process: int) -> int:
    """Bytes (proc(5): the second field of statm, in pages)."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096


async def test_the_server_goes_on_serving(tmp_path: Path) -> None:
    settings = {"GALAXY_LIMITS__INCOMPLETE_REQUESTS_PER_ADDRESS": "0"}
    with ServerProcess(tmp_path, settings) as server:
        assert server.process is not None
        async with httpx.AsyncClient(base_url=server.url, timeout=10) as client:
            assert (await client.get("/healthz")).status_code == 200
            before = resident(server.process.pid)
            waiting = [await half_open(server.port) for _ in range(HALF_OPEN)]
            assert (await client.get("/healthz")).status_code == 200
            at_once = asyncio.Semaphore(100)
            sent = await asyncio.gather(*(flood(server.port, at_once) for _ in range(FLOODERS)))
            assert sum(sent) >= 100_000_000
            assert (await client.get("/readyz")).status_code == 200
            assert resident(server.process.pid) - before < GROWTH
            for writer in waiting:
                writer.close()
