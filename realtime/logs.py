"""Logging: structlog, one line an event on standard error, with no token and no message text in any of them."""

import logging
import re
import sys
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from realtime.config import Log
from realtime.gateway.error_log import describe

HIDDEN = "***"
_PRIVATE = frozenset({"authorization", "body", "cookie", "draft", "key", "message", "password"})
_PRIVATE |= {"query", "query_string", "secret", "text", "ticket", "token"}
_JWT = re.compile(r"\beyJ[\w-]*\.[\w-]+\.[\w-]*")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"',]+")
_QUERY = re.compile(r"(/[^\s?\"']*)\?[^\s\"']+")
_USERINFO = re.compile(r"(\w://)[^\s/@]+@")


def setup(log: Log, stream: TextIO | None = None) -> None:
    """Send our events and those of the libraries (through `logging`) to one place in one form."""
    out = stream or sys.stderr
    level = logging.getLevelNamesMapping()[log.level.upper()]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=log.format == "json"),
        without_exception_text,
        without_private,
    ]
    renderer: Processor = structlog.processors.JSONRenderer(serializer=_json)
    if log.format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty(), pad_event_to=0)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for chatty in ("httpx", "httpcore", "alembic", "urllib3"):
        logging.getLogger(chatty).setLevel(max(level, logging.WARNING))
    # It warns of each of its attempts to send, before it says that they have failed.
    logging.getLogger("opentelemetry").setLevel(max(level, logging.ERROR))


def _json(event: EventDict, **_: object) -> str:
    return orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()


def without_exception_text(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor that says an exception's type and where it was raised: its text may quote what a client wrote."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else sys.exc_info()[1] if info is True else info
    return {**event, **describe(error)} if isinstance(error, BaseException) else event


def without_private(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor that hides what no log may hold: fields of private names, and tokens, query strings and passwords
    wherever they stand in a text. What does not print is escaped: no value forges a line or steers a terminal.
    """
    return {name: _clean(name, value) for name, value in event.items()}


def _clean(name: object, value: Any) -> Any:
    if isinstance(name, str) and name.lower() in _PRIVATE:
        return HIDDEN
    match value:
        case str():
            return _clean_text(value)
        case bytes() | bytearray():
            return f"<{len(value)} bytes>"
        case dict():
            return {key: _clean(key, item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(None, item) for item in value]
        case None | bool() | int() | float():
            return value
        case _ if isinstance(name, str) and name.startswith("_"):
            return value  # structlog's own: the log record
        case _:
            return _clean(None, repr(value))


def _clean_text(text: str) -> str:
    text = _JWT.sub(HIDDEN, text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    text = _USERINFO.sub(rf"\1{HIDDEN}@", text)
    text = _QUERY.sub(rf"\1?{HIDDEN}", text)
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
