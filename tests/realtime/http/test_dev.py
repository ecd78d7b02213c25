"""Tokens for whoever asks, with `--dev` only."""

from pathlib import Path

import httpx
import pytest

from tests.realtime.http.support import House, housed


async def _ask(house: House, body: object, **headers: str) -> httpx.Response:
    return await house.client.post("/v1/dev/token", json=body, headers=headers)


async def test_it_is_not_there_otherwise(house: House) -> None:
    answer = await _ask(house, {"user": "ann", "name": "Ann"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_token_that_the_server_takes_for_half_a_day(tmp_path: Path) -> None:
    async with housed(tmp_path, dev=True) as house:
        answer = await _ask(house, {"user": "ann", "name": "Ann Ünïcödé"})
        assert answer.headers["cache-control"] == "no-store"
        headers = {"Authorization": f"Bearer {answer.json()['token']}"}
        command = {"type": "room.create", "kind": "group", "title": "T", "visibility": "public"}
        for hours, status in ((0, 200), (11.9, 200), (12.1, 401)):
            house.clock.ahead = round(hours * 3_600_000)
            assert (await house.client.post("/v1/commands", json=command, headers=headers)).status_code == status
        house.clock.ahead = 0
        room = (await house.client.post("/v1/commands", json=command, headers=headers)).json()["room"]["id"]
        log = (await house.client.get(f"/v1/rooms/{room}/events", headers=headers)).json()
        assert log["events"][0]["by"] == {"id": "ann", "name": "Ann Ünïcödé", "role": "owner"}


@pytest.mark.parametrize(
    "body",
    [
        {}, [], {"user": ""}, {"user": "x" * 129}, {"user": 1}, {"user": "ann", "name": "x" * 129}, {"user": "a\n"},
        {"user": "ann", "name": "\x00"}, {"user": None},
    ],
)  # fmt: skip
async def test_bad_names_are_refused(tmp_path: Path, body: object) -> None:
    async with housed(tmp_path, dev=True) as house:
        answer = await _ask(house, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")


async def test_pages_of_others_get_none(tmp_path: Path) -> None:
    async with housed(tmp_path, dev=True) as house:
        wanted = {"user": "ann"}
        assert (await _ask(house, wanted, Origin="https://evil.example")).status_code == 403
        assert (await _ask(house, wanted, Host="evil.example")).status_code == 403
        form = await house.client.post(
            "/v1/dev/token", content=b'{"user":"ann"}', headers={"Content-Type": "text/plain"}
        )
        assert form.status_code == 415
        large = await _ask(house, {"user": "ann", "more": "x" * house.config.limits.body_bytes})
        assert large.status_code == 413
