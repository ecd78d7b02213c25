"""The web client's files."""

import asyncio

import pytest

from realtime.http.pages import WEB
from tests.realtime.http.support import PATIENCE, House

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=utf-8",
}


async def test_every_file_is_served_with_its_type(house: House) -> None:
    for file in (file for file in WEB.rglob("*") if file.is_file()):
        answer = await house.client.get(f"/web/{file.relative_to(WEB)}")
        assert answer.content == file.read_bytes()
        assert answer.headers["content-type"] == TYPES[file.suffix]


async def test_the_index_is_the_page(house: House) -> None:
    answer = await house.client.get("/")
    assert answer.content == (WEB / "index.html").read_bytes()
    assert answer.headers["content-type"] == TYPES[".html"]


@pytest.mark.parametrize("path", ["/", "/web/app.js"])
async def test_browsers_keep_files_but_ask_each_time(house: House, path: str) -> None:
    first = await house.client.get(path)
    assert first.headers["cache-control"] == "no-cache"
    again = await house.client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/web/../app.py", "/web/%2e%2e/app.py", "/web/..%2fapp.py", "/web//etc/passwd", "/web/%00", "/web/", "/web",
        "/web/css", "/web/nothing.js", "/web/..\\app.py", "/web/" + "x" * 3_000, "/web/%ff",
    ],
)  # fmt: skip
async def test_nothing_else_is_served(house: House, path: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE):
        answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b'"code":"not_found"' in answer
