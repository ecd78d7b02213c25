"""The description is held against what is served."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from starlette.routing import Mount, Route

from realtime.http.openapi import document
from rooms.commands import AnyCommand
from tests.realtime.http.support import House, housed


@pytest.mark.parametrize("dev", [False, True])
async def test_it_names_every_route_and_no_other(tmp_path: Path, dev: bool) -> None:
    async with housed(tmp_path, dev=dev) as house:
        served = {
            (route.path, method.lower())
            for route in house.app.routes
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
        }
        described = (await house.client.get("/openapi.json")).json()
        assert {(path, method) for path, methods in described["paths"].items() for method in methods} == served
        assert [route.path for route in house.app.routes if isinstance(route, Mount)] == ["/web"]


def test_it_describes_every_command() -> None:
    schemas = document(dev=False)["components"]["schemas"]
    named = {one["$ref"].rpartition("/")[2] for one in schemas["Command"]["anyOf"]}
    assert named == {command.__name__ for command in get_args(AnyCommand)}
    for command in get_args(AnyCommand):
        fields = schemas[command.__name__]["properties"]
        assert set(fields) == {"type"} | {field.encode_name for field in msgspec.structs.fields(command)}


def test_every_reference_leads_somewhere_and_patterns_are_portable() -> None:
    whole = document(dev=True)

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                found = whole
                for part in value["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            assert "\\Z" not in str(value.get("pattern", ""))
            for one in value.values():
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(whole)


async def test_the_page_shows_all_of_it_and_loads_nothing(house: House) -> None:
    answer = await house.client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    loaded: list[str] = []

    class Looker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            loaded.extend(tag for name, _ in attrs if name in ("src", "style") or (tag, name) == ("link", "href"))

    Looker().feed(answer.text)
    assert not loaded
    described = (await house.client.get("/openapi.json")).json()
    for path in described["paths"]:
        assert path in answer.text
    for command in get_args(AnyCommand):
        assert f"<code>{command.__struct_config__.tag}</code>" in answer.text
