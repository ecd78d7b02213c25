"""Traces by OpenTelemetry: which commands are traced, what their spans say, and what becomes of them when the
collector is slow, gone or wrong.
"""

import asyncio
import random
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from realtime import tracing_otlp
from realtime.tracing_otlp import HEARD, WAITING, OtlpTracer
from rooms import commands as c
from tests.support.otlp import Collector
from tests.support.peer import MSGPACK, greeted
from tests.support.server import Running, serving, token

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SEND = c.MessageSend(id=1, room="r", text="hello")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector answers in the end: it is waited for, however busy the machine is."""
    monkeypatch.setattr(tracing_otlp, "SINK_SECONDS", 60.0)
    monkeypatch.setattr(tracing_otlp, "CLOSE_SECONDS", 60.0)


@asynccontextmanager
async def tracing(collector: Collector, sample: float = 1.0) -> AsyncIterator[OtlpTracer]:
    tracer = OtlpTracer(collector.url, sample=sample, service="chat", node="one", system="memory")
    yield tracer
    await tracer.close()


@asynccontextmanager
async def traced(folder: Path, collector: Collector) -> AsyncIterator[Running]:
    """A server that traces every command."""
    settings = {"GALAXY_TRACING__URL": collector.url, "GALAXY_TRACING__SAMPLE": "1"}
    async with serving(folder, settings) as server:
        yield server


async def test_off_it_is_not_even_imported() -> None:
    program = "import sys, realtime.app; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    said = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert said.stdout == "[]\n"


# What is traced


async def test_a_command_over_websocket(tmp_path: Path, collector: Collector) -> None:
    async with traced(tmp_path, collector) as server:
        async with greeted(server.url, token("ann"), codec=MSGPACK) as ann:
            room = (await ann.ok("room.create", kind="group", title="Room", visibility="public"))["room"]["id"]
            await ann.ok("room.join", room=room)
            await ann.ok("room.list")
            await ann.ok("message.send", room=room, text="a secret")
            await ann.event("message.created")
            await ann.error("member.kick", room=room, user="nobody")
            await ann.error("message.send", room="elsewhere", text="a secret")
        await asyncio.to_thread(collector.until, lambda: len(collector.named("member.kick")) == 1)
    roots = {span.name + str(span.attributes.get("galaxy.code")): span for span in collector.spans if not span.parent}
    assert sorted(roots) == [
        "member.kicknot_found",
        "message.sendnot_found",
        "message.sendok",
        "room.createok",
    ]
    root = roots["message.sendok"]
    assert (root.service, root.kind, root.failed) == ("galaxy-live", "SERVER", False)
    assert root.attributes["galaxy.codec"] == "MessagePack"
    steps = [span.name for span in collector.spans if span.parent == root.id]
    assert sorted(steps) == sorted(["inbox", "decide", "commit", "reply", "publish room:{room}", "deliver"])
    assert not roots["message.sendnot_found"].failed
    assert "a secret" not in str(collector.spans)


async def test_chance_decides_where_nobody_else_does(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = iter([0.24, 0.25, 0.99])
    monkeypatch.setattr(random, "random", lambda: next(chance))
    async with tracing(collector, sample=0.25) as tracer:
        assert tracer.begin(c.RoomList(id=1), "JSON") is None
        assert [tracer.begin(SEND, "JSON") is not None for _ in range(3)] == [True, False, False]


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("sample", "traceparent", "chosen"),
    [
        (0.0, f"00-{TRACE}-{PARENT}-01", True),
        (1.0, f"00-{TRACE}-{PARENT}-00", False),
        (1.0, "00-no-trace-01", True),
        (0.0, f"00-{'0' * 32}-{PARENT}-01", False),
        (0.0, "é" * 10_000, False),
    ],
)
async def test_who_asks_over_http_decides(collector: Collector, sample: float, traceparent: str, chosen: bool) -> None:
    async with tracing(collector, sample) as tracer:
        trace = tracer.begin(SEND, "JSON", {"traceparent": traceparent})
        assert (trace is not None) == chosen
        if trace is not None:
            trace.answered("ok")
    assert [span.parent for span in collector.spans if span.trace == TRACE] == [PARENT] * (sample == 0.0 and chosen)


@pytest.mark.usefixtures("patient")
async def test_errors_of_the_server_are_marked(collector: Collector) -> None:
    async with tracing(collector) as tracer:
        for code in ("ok", "muted", "unavailable", "internal"):
            trace = tracer.begin(SEND, "JSON")
            assert trace is not None
            trace.answered(code)
    failed = [span.attributes["galaxy.code"] for span in collector.spans if span.failed]
    assert failed == ["unavailable", "internal"]


async def test_what_no_room_takes_in_is_forgotten(collector: Collector) -> None:
    async with tracing(collector) as tracer:
        for number in range(3):
            tracer.heard(f"r{number}", None, [f"00-{TRACE}-{PARENT}-01"])
        assert tracer.dropped == 0  # no room was to take these in
        for number in range(HEARD + 3):
            tracer.heard("r", number, [f"00-{TRACE}-{PARENT}-01"])
        assert tracer.dropped == 3


# A collector that is slow, gone or wrong


def say(tracer: OtlpTracer, times: int) -> None:
    """A span each."""
    for _ in range(times):
        trace = tracer.begin(SEND, "JSON")
        assert trace is not None
        trace.answered("ok")


async def dropped(server: Running) -> float:
    async with httpx.AsyncClient() as client:
        shown = (await client.get(f"{server.url}/metrics")).text
    (family,) = (one for one in text_string_to_metric_families(shown) if one.name == "galaxy_spans_dropped")
    return float(family.samples[0].value)


async def test_a_stalled_collector_holds_nobody_up(
    tmp_path: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the server's end, though sending may take for ever."""
    monkeypatch.setattr(tracing_otlp, "SINK_SECONDS", 600.0)
    collector.stall()
    async with traced(tmp_path, collector) as server, greeted(server.url, token("ann")) as ann:
        room = (await ann.ok("room.create", kind="group", title="Room", visibility="public"))["room"]["id"]
        await asyncio.to_thread(collector.until, lambda: collector.requests > 0)
        await ann.ok("message.send", room=room, text="hello")
    assert collector.spans == []  # it has not been waited for


@pytest.mark.usefixtures("patient")
async def test_what_has_no_place_is_dropped_and_counted(collector: Collector) -> None:
    collector.stall()
    async with tracing(collector) as tracer:
        say(tracer, WAITING + 100)
        assert tracer.dropped == 100
        collector.resume()
        await asyncio.to_thread(collector.until, lambda: len(collector.spans) == WAITING)
        say(tracer, 1)
    assert len(collector.spans) == WAITING + 1
    assert tracer.dropped == 100


async def test_a_collector_that_is_gone(tmp_path: Path, collector: Collector) -> None:
    collector.close()
    async with traced(tmp_path, collector) as server:
        async with greeted(server.url, token("ann")) as ann:
            await ann.ok("room.create", kind="group", title="Room", visibility="public")
        async with asyncio.timeout(30):
            while not await dropped(server):  # noqa: ASYNC110 - nobody tells us
                await asyncio.sleep(0.05)


@pytest.mark.usefixtures("patient")
async def test_a_collector_that_wants_none_of_it(collector: Collector) -> None:
    collector.status = 400
    async with tracing(collector) as tracer:
        say(tracer, 5)
    assert tracer.dropped == 5


async def test_the_thread_ends_with_the_server(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing_otlp, "SINK_SECONDS", 600.0)
    collector.stall()
    before = set(threading.enumerate())
    async with tracing(collector) as tracer:
        say(tracer, 3)
        await asyncio.to_thread(collector.until, lambda: collector.requests > 0)
    collector.resume()
    own = [thread for thread in set(threading.enumerate()) - before if "Otel" in thread.name]
    for thread in own:
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()
