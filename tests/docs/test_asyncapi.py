"""docs/asyncapi.json says what the code says: no more, no less."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from realtime.live.gate import REPORTS
from rooms import commands as c
from rooms.errors import CODES
from tests.docs import asyncapi, source, wire

DOCUMENT: dict[str, Any] = json.loads(asyncapi.PATH.read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]


def _references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(reference := node.get("$ref"), str):
            yield reference
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _payload(message: str) -> dict[str, Any]:
    schema: dict[str, Any] = SCHEMAS[DOCUMENT["components"]["messages"][message]["payload"]["$ref"].rpartition("/")[2]]
    return schema


def test_the_file_is_up_to_date() -> None:
    assert asyncapi.PATH.read_text() == asyncapi.text(), "write it anew: python -m tests.docs.asyncapi"


def test_every_reference_leads_somewhere() -> None:
    for reference in set(_references(DOCUMENT)):
        node = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            assert step in node, reference
            node = node[step]


def test_every_command_is_an_operation_with_its_reply() -> None:
    received = {name for name, operation in DOCUMENT["operations"].items() if operation["action"] == "receive"}
    assert received == set(asyncapi.COMMANDS) == set(wire.REPLIES)
    for name in received:
        replies = [one["$ref"].rpartition("/")[2] for one in DOCUMENT["operations"][name]["reply"]["messages"]]
        assert replies == [f"{name}.ok", "error"]


@pytest.mark.parametrize("name", asyncapi.COMMANDS)
def test_a_command_has_the_fields_of_its_struct(name: str) -> None:
    kind = asyncapi.COMMANDS[name]
    schema = _payload(name)
    fields = msgspec.structs.fields(kind)
    assert set(schema["properties"]) == {"type"} | {field.encode_name for field in fields}
    required = {"type"} | {field.encode_name for field in fields if field.required}
    assert set(schema["required"]) == required | (set() if kind.id_optional else {"id"})
    assert ("key" in schema["properties"]) == issubclass(kind, c.Change)


def test_every_event_is_an_operation() -> None:
    sent = {name.removeprefix("send.") for name, one in DOCUMENT["operations"].items() if one["action"] == "send"}
    assert sent == set(asyncapi.LOGGED) | set(asyncapi.EPHEMERAL)


def test_every_event_that_the_code_builds_by_hand_is_described() -> None:
    by_media_processes = {"room.reset", "room.skip", *REPORTS}
    assert source.events() - {"ok", "welcome"} == set(asyncapi.EPHEMERAL) - by_media_processes


def test_error_codes_and_close_codes() -> None:
    assert set(SCHEMAS["Error"]["properties"]["code"]["enum"]) == set(CODES)
    described = {int(code) for code in DOCUMENT["channels"]["socket"]["x-close-codes"]}
    assert described == source.close_codes() - {1006}, "1006 is never sent: it stands for no close frame"


def test_nothing_in_it_is_python_only() -> None:
    text = asyncapi.PATH.read_text()
    assert r"\Z" not in text.replace(r"\\Z", r"\Z")
    assert "additionalProperties" not in text.replace('"additionalProperties": {', "")
