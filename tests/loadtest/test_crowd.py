"""Who comes back, and who does not."""

import secrets
import time
from collections.abc import Iterator

import pytest

from loadtest.client import Lost
from loadtest.codec import Seen
from loadtest.crowd import Crowd
from loadtest.options import Options
from loadtest.orders import Task
from loadtest.results import Failure
from loadtest.run import Target, own_server

SECOND = 1_000_000_000


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with own_server(tmp_path_factory.mktemp("loadtest")) as target:
        yield target


class Made:
    def __init__(self, port: int, secret: str = secrets.token_hex(16)):
        self.failures: list[Failure] = []
        options = Options(scenario="storm", connections=2)
        self.crowd = Crowd(Task(options, "127.0.0.1", port, secret, 0, 0), self.failures.append)


async def room_with_two(made: Made) -> str:
    crowd = made.crowd
    await crowd.connect()
    created = await crowd.clients[0].ask({"type": "room.create", "kind": "live", "title": "R", "visibility": "public"})
    room: str = created.room["id"]
    crowd.rooms = [room]
    await crowd.join()
    return room


async def test_a_server_that_is_not_there_is_tried_until_it_is_too_late() -> None:
    made = Made(port=1)
    with pytest.raises(Lost, match="u0 has not come back"):
        await made.crowd.come_back(made.crowd.clients[0], 0, time.monotonic_ns() + SECOND // 2)
    assert made.crowd.retries >= 2


async def test_a_join_that_the_server_puts_off_is_tried_again(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made(target.port, target.secret)
    crowd = made.crowd
    await room_with_two(made)
    client = crowd.clients[1]
    client.drop()
    send = type(client).send
    refused: list[object] = []

    def refuse_once(self, command, answered):  # type: ignore[no-untyped-def]  # stands in for a method just below
        if command["type"] == "room.join" and not refused:
            refused.append(command)
            answered(Seen(type="error", code="unavailable", message="busy", retry=True, retry_after_ms=30))
        else:
            send(self, command, answered)

    monkeypatch.setattr(type(client), "send", refuse_once)
    await crowd.come_back(client, time.monotonic_ns(), time.monotonic_ns() + 10 * SECOND)
    assert (crowd.retries, len(refused), made.failures) == (1, 1, [])
    assert crowd.latencies["recovery"].pack() is not None
    for each in crowd.clients:
        each.drop()


async def test_who_was_not_recovered_has_lost_something(target: Target) -> None:
    made = Made(target.port, target.secret)
    crowd = made.crowd
    room = await room_with_two(made)
    client = crowd.clients[1]
    client.drop()
    crowd.streams[room].epoch = "another"
    await crowd.come_back(client, time.monotonic_ns(), time.monotonic_ns() + 10 * SECOND)
    assert [failure.kind for failure in made.failures] == ["lost"]
    for each in crowd.clients:
        each.drop()


async def test_a_refused_message_is_an_error(target: Target) -> None:
    made = Made(target.port, target.secret)
    await room_with_two(made)
    await made.crowd.clients[1].ask({"type": "ping"})
    made.crowd.say(made.crowd.clients[1], "none", "text", "1", 0)
    await made.crowd.clients[1].ask({"type": "ping"})
    while made.crowd.clients[1].busy:
        await made.crowd.clients[1].ask({"type": "ping"})
    assert [failure.kind for failure in made.failures] == ["error"]
    assert "not_found" in made.failures[0].text
    for each in made.crowd.clients:
        each.drop()


async def test_what_everybody_has_received_is_forgotten_and_the_rest_is_not(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.crowd.KEPT", 1_000)
    made = Made(target.port, target.secret)
    crowd = made.crowd
    room = await room_with_two(made)
    stream = crowd.streams[room]
    crowd.clients[1].stop_reading()
    for n in range(60):
        crowd.say(crowd.clients[0], room, f"0 {n} text", str(n), 0)
        if n % 20 == 19:
            await crowd.clients[0].ask({"type": "ping"})
            while crowd.clients[0].busy or crowd.clients[0].feed.places[room].reached < stream.pos:
                await crowd.clients[0].ask({"type": "ping"})
            crowd.second(n)
            crowd.tidy()
    held = len(stream.data)
    crowd.clients[1].drop()
    await crowd.come_back(crowd.clients[1], time.monotonic_ns(), time.monotonic_ns() + 10 * SECOND)
    assert crowd.clients[1].feed.places[room].reached == crowd.clients[0].feed.places[room].reached == stream.pos
    second = crowd.second(99)
    crowd.tidy()
    assert (len(stream.data), held > 1_000) == (0, True)
    assert second.delivered > 0
    assert made.failures == []
    for each in crowd.clients:
        each.drop()
