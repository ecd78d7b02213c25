"""docs/protocol.md against the code: its tables, its numbers, its examples."""

import json
import re
from typing import Any

import msgpack  # type: ignore[import-untyped]  # ships no types
import msgspec
import pytest

from realtime.gateway.codecs import JSON, MSGPACK, BadCommand
from realtime.http.answers import STATUS
from rooms import commands as c
from rooms.decide import MAX_PURGE, Limits
from rooms.decide.chat import UNIQUE_MS
from rooms.errors import CODES, RETRYABLE
from rooms.mentions import MAX_MENTIONS, MAX_NAME
from rooms.permissions import TABLE
from rooms.settings import Settings, SettingsPatch, defaults
from rooms.text import MAX_MARKS, preview
from tests.docs import asyncapi, page, source, wire

COMMANDS = {page.codes(row["command"])[0]: row for row in page.table("Commands", "command")}
NOT_BUILT = re.search(r"`unknown_command`:\n\n(.*)\n", page.section("Not in this version"))


def _fields(kind: type[msgspec.Struct], *without: str) -> dict[str, bool]:
    return {f.encode_name: not f.required for f in msgspec.structs.fields(kind) if f.encode_name not in without}


# Commands


def test_the_table_has_every_command() -> None:
    assert set(COMMANDS) == set(asyncapi.COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command(name: str) -> None:
    row, kind = COMMANDS[name], asyncapi.COMMANDS[name]
    assert page.fields(row["fields"]) == _fields(kind, "id", "key")
    assert (row["key"] == "yes") == issubclass(kind, c.Change)
    who = TABLE[kind].name.lower() if kind in TABLE else "token"
    assert row["who"] == ({"anybody": "any"}.get(who, who) if name != "hello" else "")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "hello"])
def test_what_its_reply_adds(name: str) -> None:
    assert page.fields(COMMANDS[name]["`ok` adds"]) == _fields(wire.REPLIES[name], "id", "duplicate")


def test_what_it_logs() -> None:
    logged = {event for row in COMMANDS.values() for event in page.codes(row["logs"])}
    assert logged == set(asyncapi.LOGGED) - {"live.interrupted", "live.resumed"}, "these the server logs by itself"


def test_only_these_commands_may_omit_their_id() -> None:
    sentence = re.search(r"(`typing` and .*) may omit it", page.section("Objects"))
    assert sentence
    assert set(page.codes(sentence[1])) == {name for name, kind in asyncapi.COMMANDS.items() if kind.id_optional}


def test_bounds_of_fields() -> None:
    described: dict[tuple[str, str], tuple[int, int]] = {}
    for row in page.table("Commands", "field"):
        names = page.codes(row["field"])
        bounds = re.match(r"([\d,]+) to ([\d,]*\d)", row["bounds"])
        assert bounds, row
        pair = (page.number(bounds[1]), page.number(bounds[2]))
        if " of " in row["field"]:
            described[names[1], names[0]] = pair
        else:
            described |= {("", name): pair for name in names}
    schemas = asyncapi.document()["components"]["schemas"]
    met = set()
    for command, kind in asyncapi.COMMANDS.items():
        for name, schema in schemas[kind.__name__]["properties"].items():
            bounds_here = _bounds(schema)
            if bounds_here:
                place = (command, name) if (command, name) in described else ("", name)
                assert described.get(place) == bounds_here, (command, name)
                met.add(place)
    assert met == set(described)


def _bounds(schema: dict[str, Any]) -> tuple[int, int] | None:
    if "maximum" in schema:
        return schema["minimum"], schema["maximum"]
    if "maxLength" in schema:
        return schema.get("minLength", 0), schema["maxLength"]
    return None


def test_what_is_not_built_is_unknown() -> None:
    assert NOT_BUILT
    for name in page.codes(NOT_BUILT[1]):
        assert name not in COMMANDS
        with pytest.raises(BadCommand) as bad:
            JSON.decode(msgspec.json.encode({"type": name, "id": 3, "room": "r1"}))
        assert (bad.value.rejected.code, bad.value.id) == ("unknown_command", 3)


# Events


def test_logged_events() -> None:
    rows = {page.codes(row["event"])[0]: row for row in page.table("Logged events", "event")}
    assert set(rows) == set(asyncapi.LOGGED)
    for name, row in rows.items():
        assert page.fields(row["fields"]) == _fields(asyncapi.LOGGED[name], "room", "pos", "at", "by"), name


def test_other_events() -> None:
    rows = {page.codes(row["event"])[0]: row for row in page.table("Other events", "event")}
    assert set(rows) == set(asyncapi.EPHEMERAL)
    for name, row in rows.items():
        assert page.fields(row["fields"]) == _fields(asyncapi.EPHEMERAL[name]), name


# Settings, errors, close codes, numbers


def test_settings() -> None:
    rows = {page.codes(row["setting"])[0]: row for row in page.table("Settings of a room", "setting")}
    schema = msgspec.json.schema(SettingsPatch)["$defs"]["SettingsPatch"]["properties"]
    assert set(rows) == set(schema)
    for name, row in rows.items():
        match schema[name]:
            case {"enum": values}:
                assert set(page.codes(row["values"])) == set(values)
            case {"minimum": low, "maximum": high}:
                assert row["values"] == f"{low:,} to {high:,}"
            case {"maxLength": most}:
                assert row["values"] == f"up to {most} characters"
            case {"type": "boolean"}:
                assert row["values"] == "true or false"
            case other:
                pytest.fail(f"{name}: {other}")
        default = getattr(Settings(), name)
        shown = {"": "empty", False: "false"}.get(default, default) if isinstance(default, str | bool) else default
        assert row["default"].strip("`").replace(",", "") == str(shown)
    assert defaults("live").write in page.codes(rows["write"]["meaning"])


def test_errors() -> None:
    rows = {page.codes(row["code"])[0]: row for row in page.table("Errors", "code")}
    assert set(rows) == set(CODES)
    for code in CODES:
        assert int(rows[code]["HTTP"]) == STATUS[code]
        assert (rows[code]["retry"] == "yes") == (code in RETRYABLE)


def test_close_codes() -> None:
    rows = {int(row["code"]) for row in page.table("Close codes", "code")}
    assert rows == source.close_codes() - {1006} == set(asyncapi.CLOSE_CODES)


@pytest.mark.parametrize(
    ("title", "sentence"),
    [
        ("Commands", f"{Limits().pins} at once; above, `too_many`"),
        ("Commands", f"{Limits().reaction_kinds} kinds on one message"),
        ("Commands", f"{MAX_PURGE} messages at most"),
        ("Waiting messages", f"{Limits().pending:,} may wait in one room"),
        ("Texts", f"more than {MAX_MARKS} combining or format characters"),
        ("Texts", f"{MAX_MENTIONS} mentions a message at most, of {MAX_NAME} characters"),
        ("Settings of a room", f"their own text within {UNIQUE_MS // 1_000} s"),
        ("Logged events", f"the first {len(preview('x' * 1_000))} characters"),
    ],
)
def test_numbers_of_the_text(title: str, sentence: str) -> None:
    assert sentence in page.section(title)


def test_limits_in_welcome_are_named() -> None:
    named = set(page.codes(" ".join(row["what"] for row in page.table("Limits", "what"))))
    assert set(_fields(wire.WelcomeLimits)) <= named


# Examples


@pytest.mark.parametrize("lines", page.examples(), ids=lambda lines: json.loads(lines[0])["type"])
def test_an_example_is_what_the_codecs_read_and_write(lines: list[str]) -> None:
    asked: dict[int, str] = {}
    for line in lines:
        shown = json.loads(line)
        kind = shown["type"]
        if kind in ("ok", "welcome", "error"):
            reply = wire.Error if kind == "error" else wire.REPLIES[asked[shown["id"]]]
            said: object = msgspec.json.decode(line, type=reply)
        elif kind in asyncapi.LOGGED and "pos" in shown:
            said = msgspec.json.decode(line, type=asyncapi.LOGGED[kind])
            assert json.loads(msgspec.json.encode(said)) == shown
        elif kind in asyncapi.EPHEMERAL and not (kind in asyncapi.COMMANDS and "by" not in shown):
            said = msgspec.json.decode(line, type=asyncapi.EPHEMERAL[kind])
        else:
            command = JSON.decode(line.encode())
            assert MSGPACK.decode(msgpack.packb(shown)) == command
            assert set(shown) - {"type"} <= set(command.__struct_fields__)
            if command.id is not None:
                asked[command.id] = kind
            else:
                assert command.id_optional
            continue
        assert JSON.encode(said)
