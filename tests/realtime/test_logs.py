import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from realtime.config import Log
from realtime.logs import setup

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_json_line() -> None:
    out = io.StringIO()
    setup(Log(format="json"), out)
    structlog.get_logger("realtime.x").info("room_opened", room="r1", members=3)
    (line,) = lines(out)
    assert line.pop("timestamp")
    assert line == {"event": "room_opened", "level": "info", "logger": "realtime.x", "room": "r1", "members": 3}


def test_the_level_holds_for_us_and_for_libraries() -> None:
    out = io.StringIO()
    setup(Log(level="warning", format="json"), out)
    structlog.get_logger("a").info("quiet")
    logging.getLogger("b").info("quiet")
    structlog.get_logger("a").warning("loud")
    logging.getLogger("b").error("loud %s", 1)
    assert [(line["event"], line["logger"]) for line in lines(out)] == [("loud", "a"), ("loud 1", "b")]


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("source", ["ours", "library"])
def test_no_token_no_text_no_query_string(form: str, source: str) -> None:
    out = io.StringIO()
    setup(Log(format="json" if form == "json" else "console"), out)
    fields = {
        "token": "PRIVATE",
        "Authorization": "PRIVATE",
        "text": "PRIVATE",
        "detail": f"got {TOKEN} here",
        "target": "/v1/socket?token=PRIVATE&x=PRIVATE",
        "nested": {"headers": [("authorization", "Bearer PRIVATE")], "ticket": "PRIVATE"},
        "url": "postgresql://galaxy:PRIVATE@db/galaxy",
        "raw": b"PRIVATE",
    }
    if source == "ours":
        structlog.get_logger("a").warning("GET /v1/x?ticket=PRIVATE HTTP/1.1", **fields)
    else:
        logging.getLogger("b").warning("GET /v1/x?ticket=PRIVATE %s", fields["detail"])
        logging.getLogger("b").warning("%s and Bearer PRIVATE", fields["target"])
    assert "PRIVATE" not in out.getvalue()
    assert "eyJ" not in out.getvalue()
    assert "/v1/" in out.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_named_without_its_text(form: str) -> None:
    out = io.StringIO()
    setup(Log(format="json" if form == "json" else "console"), out)
    try:
        int("PRIVATE")
    except ValueError as error:
        structlog.get_logger("a").exception("failed")
        structlog.get_logger("a").error("failed", exc_info=error)
        logging.getLogger("b").exception("failed")
    found = out.getvalue()
    assert found.count("builtins.ValueError") == found.count("\n") == found.count("test_logs.py") == 3
    assert "PRIVATE" not in found


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_value_cannot_forge_a_line_or_steer_a_terminal(form: str) -> None:
    out = io.StringIO()
    setup(Log(format="json" if form == "json" else "console"), out)
    structlog.get_logger("a").info("seen\n2026 forged", user="x\r\nforged \x1b[2J \u202e \ud800 名字")
    assert out.getvalue().count("\n") == 1
    assert not set(out.getvalue()) & {"\r", "\x1b", "\u202e", "\ud800"}
    assert "名字" in out.getvalue()


def test_other_values_are_shown_by_their_repr() -> None:
    out = io.StringIO()
    setup(Log(format="json"), out)
    structlog.get_logger("a").info("seen", config=Log(), few={1}, none=None, share=0.5)
    (line,) = lines(out)
    assert line["config"] == "Log(level='info', format='console')"
    assert (line["few"], line["none"], line["share"]) == ([1], None, 0.5)
