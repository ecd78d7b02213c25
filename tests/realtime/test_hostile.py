"""Hostile input, in every field of every command and by every way in: a clear error, or shown as what it is.

Over WebSocket in JSON and MessagePack and over HTTP, against the real server, which stays alive, answers nothing with
`internal` and logs no error.
"""

import asyncio
import itertools
import json
import logging
import string
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any, get_args

import httpx
import msgpack  # type: ignore[import-untyped]  # ships no types
import msgspec
import pytest
import pytest_asyncio
import structlog
from msgspec.structs import FieldInfo, fields

from realtime.http.answers import STATUS
from rooms import commands as c
from tests.support.peer import JSON, MSGPACK, WAIT, Peer, connected, greeted
from tests.support.server import NO_LIMITS, serving, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = NO_LIMITS | {"GALAXY_LIMITS__BAD_REQUESTS_PER_MINUTE": "0", "GALAXY_LIMITS__INVITE_GUESSES_PER_MINUTE": "0"}
COMMANDS = {str(kind.__struct_config__.tag): kind for kind in get_args(c.AnyCommand) if kind is not c.Hello}
DANGEROUS = {"refresh", "user.logout"}
"""What ends the connection that sends it, if it succeeds."""

TEXTS = {
    "a script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "right-to-left overrides": "\u202e\u202d\u2066evil\u2069 gnp.exe",
    "a flood of zero widths": "a" + "\u200b\u200d\u2060" * 600 + "b",
    "only zero widths": "\u200b" * 600,
    "a tower of marks": "Z" + "\u0301\u0315\u031b" * 300,
    "four-byte emoji": "😀👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿" * 20,
    "NULs": "a\0b\0",
    "a lone high surrogate": "cut \ud83d",
    "a lone low surrogate": "\udc00",
    "line separators": "a\u2028b\u2029c\x85d",
    "escapes of a terminal": "\x1b[2J\x1b]0;owned\x07",
    "SQL": "'; DROP TABLE rooms; -- \" ) OR 1=1 NEAR/2 *",
    "a template": "{{7*7}} ${7*7} %s %n {0.__class__}",
    "a path": "../../../../etc/passwd",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "private use": "\ue000\U000f0000",
    "mentions": "@all @" * 300,
}
JUNK: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    2**53,
    2**63,
    2**64 - 1,
    1.5,
    -0.0,
    1e308,
    "",
    "7",
    "nonsense!",
    "x" * 20_000,
    [],
    ["r"],
    {},
    {"pos": "x"},
    [[[[]]]],
]


def value_of(name: str, room: str) -> Any:
    """What makes a command with this field valid enough to be understood."""
    known: dict[str, Any] = {
        "room": room,
        "kind": "group",
        "title": "T",
        "visibility": "public",
        "settings": {},
        "since": {"epoch": "e", "pos": 1},
        "role": "member",
        "emoji": "👍",
        "limit": 5,
        "sort": "recent",
        "mine": True,
        "code": "nothing",
        "pending": "nothing",
        "token": "nothing",
        "reason": "r",
        "text": "t",
        "query": "q",
        "user": "nobody",
        "recording": "nothing",
        "destination": "nothing",
        "name": "N",
        "url": "rtmp://example.com/live",
        "stream_key": "k",
        "key": None,
        "cursor": None,
    }
    return known.get(name, 1)


def example(kind: type[c.Command], room: str) -> dict[str, Any]:
    command = {field.name: value_of(field.name, room) for field in fields(kind) if field.required}
    return {"type": kind.__struct_config__.tag, "id": 1} | command


def wrong(field: FieldInfo, value: Any) -> bool:
    try:
        msgspec.convert(value, field.type)
    except msgspec.ValidationError:
        return True
    return False


def is_unicode(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


class Way:
    """A way in. `answers` gives the reply to each command, in order."""

    def __init__(self, name: str, peer: Peer | None, client: httpx.AsyncClient):
        self.name = name
        self._peer = peer
        self._client = client

    def __repr__(self) -> str:
        return self.name

    async def answers(self, commands: list[Any]) -> list[dict[str, Any]]:
        return await (self._post(commands) if self._peer is None else self._send(self._peer, commands))

    async def answer(self, command: Any) -> dict[str, Any]:
        [reply] = await self.answers([command])
        return reply

    def encoded(self, command: Any) -> Any:
        if isinstance(command, bytes | str):
            return command
        if self.name == "msgpack":
            return bytes(msgpack.packb(command, unicode_errors="surrogatepass"))
        return json.dumps(command)

    async def _send(self, peer: Peer, commands: list[Any]) -> list[dict[str, Any]]:
        # In small heaps, so that neither side waits for the other to read.
        replies: list[dict[str, Any]] = []
        async with asyncio.timeout(WAIT):
            for start in range(0, len(commands), 50):
                heap = commands[start : start + 50]
                for command in heap:
                    await peer.write(self.encoded(command))
                while len(replies) < start + len(heap):
                    value = await peer.receive()
                    if value["type"] in ("ok", "error"):
                        replies.append(value)
        return replies

    async def _post(self, commands: list[Any]) -> list[dict[str, Any]]:
        replies = []
        for command in commands:
            response = await self._client.post("/v1/commands", content=self.encoded(command))
            assert response.headers["content-type"] == "application/json"
            reply = response.json()
            assert response.status_code == (200 if reply["type"] == "ok" else STATUS[reply["code"]])
            replies.append(reply)
        return replies


class House:
    def __init__(self, url: str, ways: list[Way], owner: Peer, client: httpx.AsyncClient):
        self.url = url
        self.ways = ways
        self.owner = owner
        self.client = client
        self.room = ""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(tmp_path_factory.mktemp("hostile"), SETTINGS))
        eve = token("eve", name="Eve")
        client = await stack.enter_async_context(
            httpx.AsyncClient(base_url=server.url, headers={"Authorization": f"Bearer {eve}"}, timeout=WAIT)
        )
        peers = {
            name: await stack.enter_async_context(greeted(server.url, eve, codec=codec))
            for name, codec in (("json", JSON), ("msgpack", MSGPACK))
        }
        owner = await stack.enter_async_context(greeted(server.url, token("owner")))
        ways = [Way(name, peer, client) for name, peer in peers.items()] + [Way("http", None, client)]
        yield House(server.url, ways, owner, client)


@pytest_asyncio.fixture(loop_scope="module")
async def house(shared: House, caplog: pytest.LogCaptureFixture) -> AsyncIterator[House]:
    """The server with a room of its own for each test; afterwards it must be well, and have logged no error."""
    with structlog.testing.capture_logs() as logged:
        made = await shared.owner.ok("room.create", kind="live", title="Room", visibility="public")
        shared.room = made["room"]["id"]
        yield shared
        for way in shared.ways:
            assert (await way.answer({"type": "presence.get", "id": 1, "room": shared.room}))["type"] == "ok"
        await shared.owner.ok("ping")
        assert (await shared.client.get("/healthz")).status_code == 200
    assert [entry for entry in logged if entry["log_level"] in ("error", "critical", "exception")] == []
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def check_error(error: dict[str, Any], *names: str) -> None:
    assert error["type"] == "error", error
    assert error["code"] not in ("internal", "unavailable"), error
    assert error["message"]
    assert names == () or error.get("field", "").split(".")[0] in names, error


async def test_wrong_types_in_every_field_of_every_command(house: House) -> None:
    for kind in COMMANDS.values():
        asked = [
            (field.name, example(kind, house.room) | {field.encode_name: junk})
            for field in fields(kind)
            for junk in JUNK
            if wrong(field, junk)
        ]
        for way in house.ways:
            # All go through one decoder: over HTTP, which takes its time, one a field will do.
            if way.name == "http":
                asked = list({name: (name, command) for name, command in asked}.values())
            for (name, command), error in zip(asked, await way.answers([one for _, one in asked]), strict=True):
                check_error(error, name)
                assert error["code"] == "bad_request", command
                assert error.get("id") == (None if name == "id" else 1)


async def test_missing_fields_of_every_command(house: House) -> None:
    for kind in COMMANDS.values():
        for field in fields(kind):
            if field.required:
                command = {k: v for k, v in example(kind, house.room).items() if k != field.name}
                for way in house.ways:
                    check_error(await way.answer(command), field.name)


async def test_odd_values_of_the_right_type_in_every_field_of_every_command(house: House) -> None:
    """Whatever passes as its type is refused for what it says, or does what it says."""
    for name, kind in COMMANDS.items():
        if name in DANGEROUS:
            continue
        asked = [
            example(kind, house.room) | {field.encode_name: value}
            for field in fields(kind)
            for value in [*filter(is_unicode, TEXTS.values()), *JUNK]
            if field.name != "id" and not wrong(field, value)
        ]
        for way in house.ways:
            for command, reply in zip(asked, await way.answers(asked), strict=True):
                assert reply["type"] == "ok" or reply["code"] not in ("internal", "unavailable"), (command, reply)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_text_is_refused_by_name_or_shown_as_it_is(house: House, text: str) -> None:
    await house.owner.ok("room.join", room=house.room)
    for way in house.ways:
        reply = await way.answer({"type": "message.send", "id": 7, "room": house.room, "text": text})
        assert reply["id"] == 7
        if reply["type"] == "error":
            check_error(reply, "text")
            continue
        created = await house.owner.event("message.created", pos=reply["pos"])
        assert created["message"]["text"] == text
        listed = await house.owner.ok("message.list", room=house.room, around=reply["pos"], limit=1)
        assert listed["messages"][0]["text"] == text
        response = await house.client.get(f"/v1/rooms/{house.room}/events")
        assert response.json()["events"][-1]["message"]["text"] == text
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-content-type-options"] == "nosniff"
        await house.owner.ok("message.search", room=house.room, query=text[:200])
    await house.owner.ok("room.leave", room=house.room)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_titles_names_and_reasons_are_texts_too(house: House, text: str) -> None:
    short = text[:90]
    for way in house.ways:
        made = await way.answer(
            {"type": "room.create", "id": 7, "kind": "group", "title": short, "visibility": "private"}
        )
        if made["type"] == "ok":
            assert made["room"]["title"] == short
            room = made["room"]["id"]
            muted = await way.answer({"type": "member.mute", "id": 7, "room": room, "user": "bob", "reason": short})
            if muted["type"] == "error":
                check_error(muted, "reason")
        else:
            check_error(made, "title")
        report = await way.answer(
            {"type": "report.create", "id": 7, "room": house.room, "user": "bob", "reason": "spam", "text": text}
        )
        if report["type"] == "error":
            check_error(report, "text")


@pytest.mark.parametrize("name", ["<b>Bob</b>", "\u202eboB", "B\u200bob", "😀", "x" * 128])
async def test_a_hostile_name_is_only_a_name(house: House, name: str) -> None:
    async with greeted(house.url, token("bob", name=name)) as bob:
        assert bob.welcome["user"]["name"] == name
        await bob.ok("room.join", room=house.room)
        await bob.ok("message.send", room=house.room, text="hi")
        assert (await bob.event("message.created"))["by"]["name"] == name


@pytest.mark.parametrize("name", ["json", "msgpack"])
async def test_a_message_just_within_and_just_above_the_limit(house: House, name: str) -> None:
    way = next(way for way in house.ways if way.name == name)
    command = {"type": "message.send", "id": 7, "room": house.room, "text": ""}
    room_left = 65_536 - len(way.encoded(command | {"text": "x" * 60_000})) + 60_000
    within = command | {"text": "x" * room_left}
    assert len(way.encoded(within)) == 65_536
    error = await way.answer(within)
    check_error(error, "text")
    assert error["code"] == "too_long"
    async with greeted(house.url, token("bob"), codec=JSON if name == "json" else MSGPACK) as bob:
        await bob.write(way.encoded(command | {"text": "x" * (room_left + 1)}))
        assert (await bob.closed())[0] == 1009


async def test_a_body_just_within_and_just_above_the_limit(house: House) -> None:
    head = f'{{"type":"message.send","id":7,"room":"{house.room}","text":"'
    within = head + "x" * (65_536 - len(head) - 2) + '"}'
    response = await house.client.post("/v1/commands", content=within)
    assert (response.status_code, response.json()["code"], response.json()["field"]) == (422, "too_long", "text")
    response = await house.client.post("/v1/commands", content=within + " ")
    assert response.status_code == 413


def short_keys() -> Iterator[str]:
    for length in itertools.count(1):
        yield from map("".join, itertools.product(string.ascii_letters, repeat=length))


async def test_objects_of_ten_thousand_keys(house: House) -> None:
    many = dict.fromkeys(itertools.islice((key for key in short_keys() if key not in ("id", "type")), 10_000), 0)
    for way in house.ways:
        keys = many if way.name == "msgpack" else dict(itertools.islice(many.items(), 6_000))
        assert (await way.answer({"type": "read.list", "id": 7} | keys))["type"] == "ok"
        error = await way.answer(
            {"type": "room.create", "id": 7, "kind": "group", "title": "T", "visibility": "x"} | keys
        )
        check_error(error, "visibility")
        nested = {"type": "room.update", "id": 7, "room": house.room, "settings": keys}
        assert (await way.answer(nested))["code"] == "forbidden"
    # Written out as JSON ten thousand keys are more than a message.
    async with greeted(house.url, token("bob")) as bob:
        await bob.write(many)
        assert (await bob.closed())[0] == 1009
    assert (await house.client.post("/v1/commands", json=many)).status_code == 413


async def test_depth(house: House) -> None:
    for way in house.ways:
        if way.name == "msgpack":
            deep: list[Any] = [
                b"\x83\xa4type\xa4ping\xa2id\x07\xa1x" + b"\x91" * 60_000 + b"\x01",
                b"\x83\xa4type\xa4ping\xa2id\x07\xa1x" + b"\x81\xa1a" * 20_000 + b"\x01",
                b"\x91" * 65_536,
            ]
        else:
            deep = [
                '{"type":"ping","id":7,"x":' + "[" * 30_000 + "]" * 30_000 + "}",
                '{"type":"ping","id":7,"x":' + '{"a":' * 9_000 + "1" + "}" * 9_000 + "}",
                "[" * 65_536,
            ]
        for error in await way.answers(deep):
            check_error(error)
            assert error["code"] == "bad_request"


async def test_numbers_beyond_what_all_readers_hold(house: House) -> None:
    send = {"type": "message.send", "id": 7, "room": house.room, "text": "hi"}
    for way in house.ways:
        for number in (2**53, 2**63, 2**64 - 1, -(2**63)):
            check_error(await way.answer(send | {"reply_to": number}), "reply_to")
            check_error(
                await way.answer({"type": "room.events", "id": 7, "room": house.room, "after": number}), "after"
            )
            mute = {"type": "member.mute", "id": 7, "room": house.room, "user": "bob", "seconds": number}
            check_error(await way.answer(mute), "seconds")
        assert (await way.answer(send | {"id": 2**53 - 1}))["id"] == 2**53 - 1
        assert "id" not in await way.answer(send | {"id": 2**53})
        if way.name != "msgpack":
            for digits in ("9" * 400, "1e400", "-" + "9" * 5_000):
                check_error(await way.answer(json.dumps(send)[:-1] + f', "reply_to": {digits}}}'), "reply_to")
                assert (await way.answer(json.dumps(send)[:-1] + f', "unknown": {digits}}}'))["type"] == "ok"


@pytest.mark.parametrize(
    "data",
    ["", " ", "null", "[]", "7", '"ping"', "{", "}", "{}{}", "NaN", "{'type': 'ping'}", "\ufeff{}", "\0", "<xml/>"],
)
async def test_what_is_no_object(house: House, data: str) -> None:
    for way in house.ways:
        error = await way.answer(data.encode() if way.name == "msgpack" else data)
        check_error(error)
        assert (error["code"], "id" in error) == ("bad_request", False)


async def test_before_hello_as_well(house: House) -> None:
    async with connected(house.url) as stranger:
        for data in (
            "{",
            "[]",
            '{"type":"hello","id":1,"token":7}',
            '{"type":"hello","id":1,"token":"\\ud800"}',
            "[" * 60_000,
        ):
            await stranger.write(data)
            check_error(await stranger.receive())
        await stranger.send("hello", token="\0" * 100)
        assert (await stranger.closed())[0] == 3500
