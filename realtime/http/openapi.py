"""`GET /openapi.json`: what this server answers over HTTP (OpenAPI 3.1), and `GET /docs`, the same as a page."""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from realtime.http.answers import STATUS, answer
from rooms.commands import AnyCommand
from rooms.errors import CODES

_ERROR = {"$ref": "#/components/responses/Error"}
_JSON = "application/json"
_ROOM = {"name": "room", "in": "path", "required": True, "schema": {"type": "string"}}
_POS = {"type": "integer", "minimum": 0}
_BEARER: list[dict[str, list[str]]] = [{"bearer": []}]
_READER = [*_BEARER, {"ticket": []}, {"token": []}]


def document(*, dev: bool) -> dict[str, Any]:
    """The OpenAPI document of a server with or without `--dev`."""
    (command,), schemas = msgspec.json.schema_components([AnyCommand], ref_template="#/components/schemas/{name}")
    schemas["Command"] = command
    described: dict[str, Any] = _portable({
        "openapi": "3.1.0",
        "info": {
            "title": "galaxy-live",
            "version": "1",
            "description": "Chat and live rooms. Commands and events are those of the WebSocket protocol galaxy.v1.",
        },
        "paths": _paths() | (_dev_paths() if dev else {}),
        "components": {
            "schemas": schemas | {"Ok": _OK, "Error": _ERROR_SCHEMA, "Event": _EVENT},
            "responses": {"Error": {"description": "Refused.", "content": _content({"$ref": _schema("Error")})}},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
                "token": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    })  # fmt: skip
    return described


class Docs:
    def __init__(self, *, dev: bool):
        self._document = document(dev=dev)
        self._page = _page(self._document).encode()

    async def json(self, request: Request) -> Response:
        return answer(self._document)

    async def page(self, request: Request) -> Response:
        return Response(self._page, media_type="text/html", headers={"Cache-Control": "no-cache"})


def _schema(name: str) -> str:
    return f"#/components/schemas/{name}"


def _content(schema: dict[str, Any], *others: str) -> dict[str, Any]:
    return {media_type: {"schema": schema} for media_type in (_JSON, *others)}


_OK = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"const": "ok"}, "id": {"type": "integer"}},
    "description": "The reply to a command that was done; what else it holds depends on the command.",
}
_ERROR_SCHEMA = {
    "type": "object",
    "required": ["type", "code", "message", "retry"],
    "properties": {
        "type": {"const": "error"},
        "id": {"type": "integer"},
        "code": {"enum": list(CODES)},
        "message": {"type": "string", "description": "For people."},
        "retry": {"type": "boolean", "description": "Whether the same command can succeed later."},
        "retry_after_ms": {"type": "integer"},
        "field": {"type": "string"},
    },
}
_EVENT = {
    "type": "object",
    "required": ["type", "room"],
    "properties": {"type": {"type": "string"}, "room": {"type": "string"}, "pos": _POS, "at": {"type": "integer"}},
}
_PAGE_OF_LOG = {
    "type": "object",
    "required": ["type", "events", "more", "first_pos", "pos", "epoch"],
    "properties": {
        "type": {"const": "ok"},
        "events": {"type": "array", "items": {"$ref": _schema("Event")}},
        "more": {"type": "boolean"},
        "first_pos": _POS,
        "pos": _POS,
        "epoch": {"type": "string"},
    },
}


def _errors(*codes: int) -> dict[str, Any]:
    return {str(code): _ERROR for code in codes}


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


def _paths() -> dict[str, Any]:
    command = _content({"$ref": _schema("Command")}, "application/msgpack")
    reply = _content({"$ref": _schema("Ok")}, "application/msgpack")
    log = _content(_PAGE_OF_LOG) | {"text/event-stream": {"schema": {"type": "string"}}}
    return {
        "/v1/commands": {
            "post": {
                "summary": "Give one command and get its reply",
                "description": "`id` may be left out. Commands of a connection (`room.join` and the like) are refused.",
                "security": _BEARER,
                "requestBody": {"required": True, "content": command},
                "responses": {"200": {"description": "Done.", "content": reply}}
                | _errors(*sorted({*STATUS.values(), 413, 415})),
            }
        },
        "/v1/rooms/{room}/events": {
            "get": {
                "summary": "Read a room's log, or follow it",
                "description": "With `Accept: text/event-stream`: server-sent events. The first is `joined`; `id` is "
                "`epoch:pos`, with which a client that lost its connection goes on (`Last-Event-ID`).",
                "security": [*_READER, {}],
                "parameters": [
                    _ROOM,
                    _query("after", _POS, "Events after this position."),
                    _query("before", _POS | {"minimum": 1}, "Events before this position."),
                    _query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "At most."),
                    _query("last_event_id", {"type": "string"}, "Streams: as the header of that name."),
                    {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string"}},
                ],
                "responses": {"200": {"description": "Events in order.", "content": log}}
                | _errors(400, 401, 403, 404, 429, 500, 503),
            }
        },
        "/healthz": {"get": _plain("Whether the process is alive")},
        "/readyz": {"get": _plain("Whether new clients should come; 503 says why not", failing=True)},
        "/metrics": {"get": _plain("Metrics for Prometheus", "text/plain")},
        "/openapi.json": {"get": _plain("This document")},
        "/docs": {"get": _plain("This document as a page", "text/html")},
        "/": {"get": _plain("The web client", "text/html")},
        "/room/{room}": {"get": _plain("A live room's page", "text/html") | {"parameters": [_ROOM]}},
        "/studio/{room}": {"get": _plain("The page its owner streams from", "text/html") | {"parameters": [_ROOM]}},
        "/overlay/{room}": {"get": _plain("Its comments, for OBS", "text/html") | {"parameters": [_ROOM]}},
    }


def _plain(summary: str, media_type: str = _JSON, *, failing: bool = False) -> dict[str, Any]:
    content = {media_type: {"schema": {"type": "object" if media_type == _JSON else "string"}}}
    responses = {"200": {"description": "Here it is.", "content": content}}
    if failing:
        responses["503"] = {"description": "Not now.", "content": content}
    return {"summary": summary, "responses": responses}


def _dev_paths() -> dict[str, Any]:
    texts = {"user": {"type": "string", "maxLength": 128, "minLength": 1}, "name": {"type": "string", "maxLength": 128}}
    wanted = {"type": "object", "required": ["user"], "properties": texts}
    given = {"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}}
    return {
        "/v1/dev/token": {
            "post": {
                "summary": "Get a token for whomever you name (development mode only)",
                "requestBody": {"required": True, "content": _content(wanted)},
                "responses": {"200": {"description": "A token for 12 hours.", "content": _content(given)}}
                | _errors(400, 403, 413, 415),
            }
        }
    }


def _portable(schema: Any) -> Any:
    r"""Python's `\Z`, the end of a text, is `$` in the dialect of JSON Schema."""
    match schema:
        case dict():
            return {key: _portable(value) for key, value in schema.items()}
        case list() | tuple():
            return [_portable(value) for value in schema]
        case str():
            return re.sub(r"\\Z$", "$", schema)
        case _:
            return schema


def _page(document: dict[str, Any]) -> str:
    """Plain HTML: the policy of this server allows no foreign script, and this needs none."""
    parts = [f"<p>{escape(document['info']['description'])} <a href='/openapi.json'>openapi.json</a></p>"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}.</p>")
            if "description" in operation:
                parts.append(f"<p>{escape(operation['description'])}</p>")
            parts.append(_rows((p["name"], p["in"], p.get("description", "")) for p in operation.get("parameters", ())))
    parts.append("<h2>Commands</h2>")
    for command in document["components"]["schemas"]["Command"]["anyOf"]:
        fields = document["components"]["schemas"][command["$ref"].rpartition("/")[2]]
        name = fields["properties"]["type"]["enum"][0]
        required = set(fields["required"]) - {"type"}
        rows = [
            (field, "required" if field in required else "optional", _type(schema))
            for field, schema in fields["properties"].items()
            if field not in ("type", "id", "key")
        ]
        parts.append(f"<h3><code>{escape(name)}</code></h3>{_rows(rows)}")
    title = escape(document["info"]["title"])
    return (
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title>"
        f"<meta name='viewport' content='width=device-width'><h1>{title}</h1>{''.join(parts)}</html>"
    )


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    cells = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table>{''.join(cells)}</table>" if cells else ""


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"] if one != {"type": "null"})
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    return str(schema.get("type") or schema.get("$ref", "").rpartition("/")[2])
