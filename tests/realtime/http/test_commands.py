"""`POST /v1/commands`."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from realtime.http.answers import STATUS
from rooms.errors import CODES
from tests.realtime.http.support import PATIENCE, House, bearer, housed


async def test_a_command_is_answered_as_over_websocket(house: House) -> None:
    room = await house.room("ann")
    assert (await house.did("ann", "message.send", room=room, text="hi", id=7)).items() >= {
        "type": "ok",
        "id": 7,
        "pos": 2,
    }.items()
    assert "id" not in await house.did("ann", "message.send", room=room, text="hi")
    listed = await house.did("ann", "message.list", room=room)
    assert [message["text"] for message in listed["messages"]] == ["hi", "hi"]
    assert set(await house.did("ann", "ping")) == {"type", "server_time"}


async def test_messagepack_is_answered_in_messagepack(house: House) -> None:
    headers = bearer("ann") | {"Content-Type": "application/msgpack"}
    body = msgspec.msgpack.encode({"type": "ping", "id": 1})
    response = await house.client.post("/v1/commands", content=body, headers=headers)
    assert response.headers["content-type"] == "application/msgpack"
    assert msgspec.msgpack.decode(response.content)["id"] == 1
    response = await house.client.post("/v1/commands", content=b"\xc1", headers=headers)
    assert response.status_code == 400
    assert msgspec.msgpack.decode(response.content)["code"] == "bad_request"


def test_every_code_has_a_status() -> None:
    assert set(STATUS) == set(CODES)


@pytest.mark.parametrize(
    ("command", "status", "expected"),
    [
        ({"type": "ping", "id": "x"}, 400, {"code": "bad_request", "field": "id"}),
        ({"type": "fly", "id": 4}, 400, {"code": "unknown_command", "id": 4}),
        ({"type": "message.send", "id": 5, "room": "nope", "text": "x"}, 404, {"code": "not_found", "id": 5}),
        ({"type": "message.send", "id": 6, "room": "nope"}, 400, {"field": "text", "id": 6}),
        ({"type": "room.join", "id": 7, "room": "nope"}, 400, {"code": "bad_request", "field": "type", "id": 7}),
        ({"type": "hello"}, 400, {"code": "bad_request", "field": "type"}),
        ({"type": "ticket.create", "room": "nope", "id": 8}, 404, {"code": "not_found", "id": 8}),
        ([], 400, {"code": "bad_request"}),
        ("text", 400, {"code": "bad_request"}),
    ],
)
async def test_refusals_have_a_status_and_the_error_object(
    house: House, command: object, status: int, expected: dict[str, object]
) -> None:
    response = await house.client.post("/v1/commands", json=command, headers=bearer("ann"))
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.json().items() >= ({"type": "error", "retry": False} | expected).items()


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 30_000, b'{"type":"ping","id":1e400}', b'"\\ud800"'])
async def test_what_is_no_object_is_a_bad_request(house: House, body: bytes) -> None:
    headers = bearer("ann") | {"Content-Type": "application/json"}
    response = await house.client.post("/v1/commands", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "bad_request")


async def test_only_a_good_bearer_token_is_let_in(house: House) -> None:
    good = bearer("ann")["Authorization"]
    for headers in ({}, {"Authorization": good + "x"}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        response = await house.client.post("/v1/commands", json={"type": "ping"}, headers=headers)
        assert response.status_code == 401
        assert response.json()["code"] == "unauthorized"
        assert response.headers["www-authenticate"] == "Bearer"
    in_query = await house.client.post("/v1/commands", params={"token": good[7:]}, json={"type": "ping"})
    assert in_query.status_code == 401
    house.clock.ahead = 3_600_000
    late = await house.client.post("/v1/commands", json={"type": "ping"}, headers={"Authorization": good})
    assert late.status_code == 401


async def test_a_token_from_before_logging_out_everywhere_is_refused(house: House) -> None:
    headers = bearer("ann")
    await house.service.store.log_out("ann", house.clock() + 10_000)
    response = await house.client.post("/v1/commands", json={"type": "ping"}, headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")


async def test_other_media_types_methods_and_sizes_are_refused_in_the_same_form(house: House) -> None:
    headers = bearer("ann")
    form = await house.client.post("/v1/commands", data={"type": "ping"}, headers=headers)
    assert (form.status_code, form.json()["code"]) == (415, "bad_request")
    get = await house.client.get("/v1/commands", headers=headers)
    assert (get.status_code, get.json()["code"], get.headers["allow"]) == (405, "bad_request", "POST")
    big = {"type": "message.send", "room": "r", "text": "x" * house.config.limits.body_bytes}
    large = await house.client.post("/v1/commands", json=big, headers=headers)
    assert (large.status_code, large.json()["code"]) == (413, "bad_request")
    lost = await house.client.get("/v2", headers=headers)
    assert (lost.status_code, lost.json()["code"]) == (404, "not_found")


async def test_each_user_has_a_rate_of_their_own(tmp_path: Path) -> None:
    settings = {"GALAXY_LIMITS__COMMANDS_PER_SECOND": "1", "GALAXY_LIMITS__COMMANDS_BURST": "3"}
    async with housed(tmp_path, settings) as house:
        answers = [await house.command("ann", "ping", id=n) for n in range(1, 31)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 20
        assert refused[-1].json().items() >= {"id": 30, "code": "rate_limited", "retry": True}.items()
        assert refused[-1].headers["retry-after"] == "1"
        unreadable = await house.command("ann", "fly", id=31)
        assert unreadable.json().items() >= {"id": 31, "code": "rate_limited"}.items()
        await house.did("bob", "ping")
        house.clock.ahead += 10_000
        await house.did("ann", "ping")


async def test_a_ticket_is_for_a_room_that_one_may_see(house: House) -> None:
    room = await house.room("ann", visibility="private")
    assert (await house.did("ann", "ticket.create", room=room))["ticket"]
    assert (await house.command("bob", "ticket.create", room=room)).status_code == 404


async def test_commands_are_counted_by_type_and_code(house: House) -> None:
    await house.did("ann", "ping")
    await house.did("ann", "ping")
    await house.command("ann", "fly")
    await house.command("ann", "message.send", room="nope", text="x")
    shown = (await house.client.get("/metrics")).text
    assert 'galaxy_commands_total{code="ok",type="ping"} 2.0' in shown
    assert 'galaxy_commands_total{code="unknown_command",type="?"} 1.0' in shown
    assert 'galaxy_commands_total{code="not_found",type="message.send"} 1.0' in shown


async def test_a_store_that_cannot_serve_is_unavailable(house: House) -> None:
    room = await house.room("ann")
    await house.service.store.close()
    response = await house.command("ann", "message.send", room=room, text="x", id=3)
    assert response.status_code == 503
    assert response.json().items() >= {"code": "unavailable", "retry": True}.items()
    assert int(response.headers["retry-after"]) >= 1


async def test_half_a_body_changes_nothing(house: House) -> None:
    """The client goes within the body; the server forgets the request, and serves on."""
    head = f"POST /v1/commands HTTP/1.1\r\nHost: a\r\nAuthorization: {bearer('ann')['Authorization']}\r\n"
    _, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    async with asyncio.timeout(PATIENCE):
        await writer.wait_closed()
    assert (await house.did("ann", "ping"))["type"] == "ok"
