"""What the server's own machinery reports, as structured log lines without anything a client wrote.

An exception's text may quote a URL with its `?token=`, or the parameters of a statement. So only its type and the
places in the code are logged.
"""

import asyncio
import logging
import traceback
from typing import Any

import structlog

log = structlog.get_logger("realtime.gateway")

FRAMES = 12  # the innermost ones: where it broke, and who called that


def describe(error: BaseException) -> dict[str, Any]:
    """`{"error": type, "where": ["file:line function", ...]}`, and the causes' types where there are any."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    described: dict[str, Any] = {
        "error": f"{type(error).__module__}.{type(error).__qualname__}",
        "where": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, OSError) and error.strerror:
        described["reason"] = error.strerror
    if (cause := error.__cause__ or error.__context__) is not None:
        described["cause"] = f"{type(cause).__module__}.{type(cause).__qualname__}"
    return described


class ToStructlog(logging.Handler):
    """uvicorn's own log lines (start, stop, errors of the application) as ours."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        log.log(record.levelno, "uvicorn", detail=record.getMessage().strip(), **(describe(error) if error else {}))


def adopt_uvicorn_log() -> None:
    """uvicorn.error goes to structlog and nowhere else; its access log, which prints query strings, goes nowhere."""
    server = logging.getLogger("uvicorn.error")
    server.handlers = [ToStructlog()]
    server.propagate = False
    # Never below: uvicorn's TRACE level prints every request.
    server.setLevel(logging.INFO)


def report_loop_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """asyncio's exception handler: what a protocol, a callback or a lost task raised."""
    error = context.get("exception")
    log.error("unhandled", detail=context.get("message"), **(describe(error) if error is not None else {}))
