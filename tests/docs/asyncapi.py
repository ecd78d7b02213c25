"""docs/asyncapi.json, made from the server's own types: `python -m tests.docs.asyncapi` writes it anew."""

import json
from pathlib import Path
from typing import Any, get_args

import msgspec

from realtime.gateway.codecs import JSON_SUBPROTOCOL, MSGPACK_SUBPROTOCOL
from rooms import commands as c
from rooms import events as e
from rooms.permissions import TABLE
from tests.docs import wire

PATH = Path(__file__).parents[2] / "docs" / "asyncapi.json"

COMMANDS: dict[str, type[c.Command]] = {str(kind.__struct_config__.tag): kind for kind in get_args(c.AnyCommand)}
LOGGED: dict[str, type[e.Event]] = {str(kind.__struct_config__.tag): kind for kind in get_args(e.Logged)}
EPHEMERAL: dict[str, type[msgspec.Struct]] = {
    str(kind.__struct_config__.tag): kind for kind in (*get_args(wire.Ephemeral), e.Reset, e.Skip)
}

CLOSE_CODES = {
    1002: "Protocol error (RFC 6455).",
    1007: "Text that is not UTF-8.",
    1009: "A message above limits.message_bytes.",
    1011: "Internal error. Reconnect with backoff.",
    1013: "The server cannot check who you are now. Reconnect with backoff.",
    3001: "Shutting down. Reconnect with backoff and jitter.",
    3005: "The token has expired. Reconnect with a new one.",
    3008: "Too slow: more unsent data than the limit. Reconnect and recover.",
    3012: "No pong. Reconnect.",
    3013: "Too many requests. Reconnect with backoff.",
    3500: "Bad token. Do not reconnect with it.",
    3501: "Too many bad requests. Do not reconnect.",
    3504: "Too many connections of this user. Do not reconnect.",
}

_CHANNEL = "#/channels/socket"
_NOT_SAID = ("additionalProperties", "discriminator")
"""What msgspec says of its types but JSON Schema and this protocol do not: fields may be added at any time."""


def _summary(kind: type) -> str:
    return " ".join((kind.__doc__ or "").split()) if "__doc__" in vars(kind) else ""


def _message(name: str, kind: type, **more: Any) -> dict[str, Any]:
    described = {"name": name, "title": name, "payload": {"$ref": f"#/components/schemas/{kind.__name__}"}}
    summary = _summary(kind)
    return described | ({"summary": summary} if summary else {}) | more


def _who(kind: type[c.Command]) -> dict[str, str]:
    return {"x-who": TABLE[kind].name.lower()} if kind in TABLE else {}


def _key(name: str) -> str:
    """A message's name in the document: replies are of one type on the wire."""
    return f"{name}.ok" if name in COMMANDS else name


def _plain(schema: Any) -> Any:
    """The schema in ECMA-262's terms, open to fields of later versions, and without the null that the server takes
    for a field left out.
    """
    if isinstance(schema, list):
        return [_plain(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(value) for name, value in schema.items() if name not in _NOT_SAID}
    if isinstance(plain.get("pattern"), str):
        plain["pattern"] = plain["pattern"].replace(r"\Z", "$")
    options = plain.get("anyOf")
    if "default" in plain and plain["default"] is None and isinstance(options, list):
        kept = [option for option in options if option != {"type": "null"}]
        del plain["default"], plain["anyOf"]
        return plain | (kept[0] if len(kept) == 1 else {"anyOf": kept})
    return plain


def _schemas() -> dict[str, Any]:
    kinds = [*COMMANDS.values(), *LOGGED.values(), *EPHEMERAL.values(), *wire.REPLIES.values(), wire.Error]
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas = _plain(schemas)
    for kind in COMMANDS.values():
        if not kind.id_optional:
            schemas[kind.__name__]["required"].insert(1, "id")
    return dict(sorted(schemas.items()))


def document() -> dict[str, Any]:
    """AsyncAPI 3.0.0, from the server's side: it receives commands, sends replies and events."""
    messages = {"error": _message("error", wire.Error)}
    operations: dict[str, Any] = {}
    for name, kind in COMMANDS.items():
        messages[name] = _message(name, kind, **_who(kind))
        messages[_key(name)] = _message(_key(name), wire.REPLIES[name])
        operations[name] = {
            "action": "receive",
            "channel": {"$ref": _CHANNEL},
            "messages": [{"$ref": f"{_CHANNEL}/messages/{name}"}],
            "reply": {
                "channel": {"$ref": _CHANNEL},
                "messages": [{"$ref": f"{_CHANNEL}/messages/{one}"} for one in (_key(name), "error")],
            },
        }
    for name, event in (LOGGED | EPHEMERAL).items():
        key = name if name not in COMMANDS else f"{name}.event"
        messages[key] = _message(name, event, **{"x-logged": name in LOGGED})
        operations[f"send.{name}"] = {
            "action": "send",
            "channel": {"$ref": _CHANNEL},
            "messages": [{"$ref": f"{_CHANNEL}/messages/{key}"}],
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "galaxy.v1",
            "version": "1.0.0",
            "description": "The wire protocol of galaxy-live; protocol.md says what it means. Unknown fields and "
            "unknown event types are to be ignored. A field that is null counts as left out.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:8080", "protocol": "ws"}},
        "channels": {
            "socket": {
                "address": "/v1/socket",
                "description": f"Subprotocols: {JSON_SUBPROTOCOL} (text), {MSGPACK_SUBPROTOCOL} (binary).",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in sorted(messages)},
                "bindings": {
                    "ws": {
                        "method": "GET",
                        "query": {"type": "object", "properties": {"token": {"type": "string"}}},
                    }
                },
                "x-close-codes": {str(code): text for code, text in CLOSE_CODES.items()},
            }
        },
        "operations": operations,
        "components": {"messages": dict(sorted(messages.items())), "schemas": _schemas()},
    }


def text() -> str:
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(text())
