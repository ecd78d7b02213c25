"""What holds for every request."""

import asyncio
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from realtime.config import Relay
from realtime.http.middleware import SECURITY_HEADERS, edge_source
from tests.realtime.http.support import PATIENCE, House, bearer, housed

FOREIGN = {"Origin": "https://evil.example"}
APP = "https://app.example"


async def test_every_response_keeps_browsers_strict(house: House) -> None:
    for path in ("/", "/web/app.js", "/docs", "/metrics", "/nothing", "/v1/commands", "/v1/rooms/x/events"):
        answer = await house.client.get(path)
        assert {name: answer.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
        assert "default-src 'self'; script-src 'self';" in answer.headers["Content-Security-Policy"]
        assert "http://*:8081 ws://*:8081;" in answer.headers["Content-Security-Policy"]
    page = await house.client.get("/room/x")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    studio = await house.client.get("/studio/x")
    assert (studio.status_code, studio.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "camera=(self)" in studio.headers["Permissions-Policy"]
    assert "microphone=(self)" in studio.headers["Permissions-Policy"]
    refused = await house.client.post("/v1/commands", headers=FOREIGN)
    assert {name: refused.headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


async def test_pages_of_other_origins_are_refused(house: House) -> None:
    room = await house.room("ann")
    for method, path in (("POST", "/v1/commands"), ("GET", f"/v1/rooms/{room}/events"), ("POST", "/"), ("PUT", "/x")):
        for origin in ("https://evil.example", "null", f"https://127.0.0.1:{house.port + 1}"):
            headers = bearer("ann") | {"Origin": origin}
            answer = await house.client.request(method, path, headers=headers, json={"type": "ping"})
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert (await house.client.get("/healthz", headers=FOREIGN)).status_code == 200
    own = bearer("ann") | {"Origin": f"http://127.0.0.1:{house.port}"}
    assert (await house.client.post("/v1/commands", headers=own, json={"type": "ping"})).status_code == 200


async def test_a_refused_page_changes_nothing(house: House) -> None:
    room = await house.room("ann")
    command = {"type": "message.send", "room": room, "text": "x"}
    await house.client.post("/v1/commands", json=command, headers=bearer("ann") | FOREIGN)
    assert (await house.did("ann", "room.events", room=room))["pos"] == 1


async def test_listed_origins_may_and_are_told_so(tmp_path: Path) -> None:
    async with housed(tmp_path, {"GALAXY_SERVER__ALLOWED_ORIGINS": APP}) as house:
        asked = {
            "Origin": APP,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        preflight = await house.client.options("/v1/commands", headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == APP
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        ping = await house.client.post("/v1/commands", json={"type": "ping"}, headers=bearer("ann") | {"Origin": APP})
        assert ping.status_code == 200
        assert ping.headers["access-control-allow-origin"] == APP
        assert "Origin" in ping.headers["vary"]
        foreign = await house.client.options("/v1/commands", headers=asked | FOREIGN)
        assert foreign.status_code == 403
        assert "access-control-allow-origin" not in foreign.headers
        own = bearer("ann") | {"Origin": f"http://127.0.0.1:{house.port}"}
        assert (await house.client.post("/v1/commands", json={"type": "ping"}, headers=own)).status_code == 403


async def test_dev_mode_answers_to_localhost_only(tmp_path: Path) -> None:
    async with housed(tmp_path, {"GALAXY_SERVER__ALLOWED_ORIGINS": APP}, dev=True) as house:
        for host in ("evil.example", f"evil.example:{house.port}", "127.0.0.1.evil.example", "10.0.0.1"):
            for path in ("/", "/healthz", "/web/app.js", "/v1/dev/token"):
                answer = await house.client.get(path, headers={"Host": host})
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        for host in ("localhost", f"localhost:{house.port}", "[::1]:1", "127.0.0.1"):
            assert (await house.client.get("/", headers={"Host": host})).status_code == 200
        assert (await house.client.get("/", headers=FOREIGN)).status_code == 403
        assert (await house.client.get("/", headers={"Origin": APP})).status_code == 403


async def test_what_nobody_foresaw_is_internal_and_logged_without_what_was_written(tmp_path: Path) -> None:
    async def broken(request: Request) -> Response:
        raise RuntimeError(f"it says {await request.body()!r} at {request.url}")

    async with housed(tmp_path, routes=(Route("/broken", broken, methods=["POST"]),)) as house:
        with capture_logs() as logged:
            answer = await house.client.post("/broken?token=t0psecret", content=b"my message", headers=bearer("ann"))
        assert answer.status_code == 500
        assert answer.json() == {
            "type": "error", "code": "internal", "message": "Something went wrong here.", "retry": True,
        }  # fmt: skip
        assert answer.headers["content-security-policy"]
        assert (await house.client.get("/healthz")).status_code == 200
    (line,) = logged
    assert line["error"] == "builtins.RuntimeError"
    assert "test_middleware.py" in line["where"][-1]
    for private in ("t0psecret", "my message", "eyJ", "token"):
        assert private not in str(line)


async def test_a_failure_within_an_answer_cuts_it_off(tmp_path: Path) -> None:
    class Broken:
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise RuntimeError

    async with housed(tmp_path, routes=(Route("/broken", Broken()),)) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(b"GET /broken HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).endswith(b"\r\n\r\nhalf")
        writer.close()


async def test_a_client_that_leaves_within_its_body_is_no_failure(tmp_path: Path) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def read(request: Request) -> Response:
        begun.set()
        try:
            return Response(await request.body())
        finally:
            gone.set()

    with capture_logs() as logged:
        async with housed(tmp_path, routes=(Route("/read", read, methods=["POST"]),)) as house:
            _, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
            async with asyncio.timeout(PATIENCE):
                await begun.wait()
                writer.transport.abort()
                await gone.wait()
    assert [line["event"] for line in logged if line["log_level"] in ("warning", "error")] == []


@pytest.mark.parametrize(
    ("url", "several", "source"),
    [
        ("", False, "http://*:8081"),
        ("https://edge1.example.com", False, "https://edge1.example.com"),
        ("https://edge1.example.com", True, "https://*.example.com:*"),
        ("https://edge1.example.com:444/x", True, "https://*.example.com:*"),
        ("https://example.com", True, "https://example.com"),
        ("http://10.0.0.1:8081", True, "http://10.0.0.1:8081"),
    ],
)
def test_pages_may_fetch_from_every_node(url: str, several: bool, source: str) -> None:
    assert edge_source(Relay(edge_url=url), several=several) == source
