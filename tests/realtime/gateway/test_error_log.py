import asyncio
import logging

import pytest
from structlog.testing import capture_logs

from realtime.gateway.error_log import adopt_uvicorn_log, describe, report_loop_error


def fail(error: Exception, cause: Exception | None) -> None:
    raise error from cause


def caught(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        fail(error, cause)
    except Exception as raised:
        return raised
    raise AssertionError


def test_an_error_is_its_type_and_its_places_and_not_its_text() -> None:
    described = describe(caught(ValueError("/v1/socket?token=s3cret"), KeyError("s3cret")))
    assert described["error"] == "builtins.ValueError"
    assert described["cause"] == "builtins.KeyError"
    assert described["where"][-1].endswith(" fail")
    assert "s3cret" not in repr(described)


def test_what_the_system_says_is_kept() -> None:
    assert describe(caught(OSError(28, "No space left on device", "/data/s3cret")))["reason"] == (
        "No space left on device"
    )


def test_uvicorns_lines_become_ours_and_nobody_elses(caplog: pytest.LogCaptureFixture) -> None:
    adopt_uvicorn_log()
    with capture_logs() as logs:
        logger = logging.getLogger("uvicorn.error")
        logger.info("Started server process [%d]", 7)
        logger.error("Exception in ASGI application\n", exc_info=caught(ValueError("s3cret")))
        logger.log(5, "GET /?token=s3cret")
        logging.getLogger("uvicorn.access").info("GET /?token=s3cret")
    assert [(line["log_level"], line["detail"]) for line in logs] == [
        ("info", "Started server process [7]"),
        ("error", "Exception in ASGI application"),
    ]
    assert logs[1]["error"] == "builtins.ValueError"
    assert not caplog.records
    assert "s3cret" not in repr(logs)


async def test_a_loops_errors_become_ours() -> None:
    loop = asyncio.get_running_loop()
    with capture_logs() as logs:
        report_loop_error(loop, {"message": "Fatal error", "exception": caught(ValueError("s3cret"))})
        report_loop_error(loop, {"message": "no exception at all"})
    assert [(line["event"], line["detail"]) for line in logs] == [
        ("unhandled", "Fatal error"),
        ("unhandled", "no exception at all"),
    ]
    assert "s3cret" not in repr(logs)
