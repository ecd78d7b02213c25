"""Traces by OpenTelemetry, sent to a collector as OTLP over HTTP. For who has installed `galaxy-live[tracing]`.

Spans are named by the command (`message.send`) and by its steps; those of the broker by the semantic conventions for
messaging (https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/). None says what somebody wrote, or
who it was.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock, Thread

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace import Tracer as Spans
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from realtime import ports
from realtime.tracing import Step
from rooms import commands as c
from rooms.events import Logged

WAITING = 2_048
"""Spans that may wait to be sent, or be on their way; more are dropped."""
BATCH = 512
"""Spans that are sent together."""
SEND_MS = 1_000
"""How long spans wait for others, unless there are BATCH of them."""
SINK_SECONDS = 5.0
"""What sending them may take. Then they are dropped."""
CLOSE_SECONDS = 2.0
"""What sending the last ones may take when the server ends."""
HEARD = 1_024
"""Steps of other nodes whose events a room here is yet to take in; of more, the oldest is dropped."""

_FAULTS = ("internal", "unavailable")
"""Errors of the server, not of who asked."""
_W3C = TraceContextTextMapPropagator()


class OtlpTracer:
    """The Tracer of a process.

    *Slow or gone*: spans are sent by a thread of their own. Those for which the collector has no time, or which do not
    fit in the queue, are dropped and counted; what goes wrong is logged, at most every few seconds.
    """

    def __init__(self, url: str, *, sample: float, service: str, node: str, system: str):
        """`sample`: the share of commands that are traced, 0.0 to 1.0. `service` and `node` name this process, `system`
        the broker.
        """
        self._sample = sample
        self._system = system
        self._sending = _Sending(OTLPSpanExporter(url, timeout=SINK_SECONDS))
        self._provider = TracerProvider(
            ALWAYS_ON,  # what is not to be traced does not come as far as here
            Resource.create({"service.name": service, "service.instance.id": node}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(_Queue(self._sending))
        self._spans = self._provider.get_tracer("galaxy-live")
        self._heard: OrderedDict[tuple[str, int], list[_Trace]] = OrderedDict()
        self._forgotten = 0

    @property
    def dropped(self) -> int:
        return self._sending.dropped + self._forgotten

    async def close(self) -> None:
        """Sends what waits, for CLOSE_SECONDS at most."""
        last = Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        last.start()
        await asyncio.to_thread(last.join, CLOSE_SECONDS)
        if last.is_alive():
            self._sending.shutdown()  # it will not try again

    def begin(self, command: c.AnyCommand, codec: str, headers: Mapping[str, str] | None = None) -> "_Trace | None":
        if not isinstance(command, c.Change):
            return None
        caller = _read(headers) if headers is not None else None
        chosen = caller.trace_flags.sampled if caller is not None else random.random() < self._sample  # noqa: S311
        if not chosen:
            return None
        name, room = str(command.__struct_config__.tag), getattr(command, "room", None) or ""
        attributes = {"galaxy.command.type": name, "galaxy.room": room, "galaxy.codec": codec}
        root = self._spans.start_span(name, _within(caller), SpanKind.SERVER, attributes)
        return _Trace(self._spans, root, room, self._system)

    def heard(self, room: str, pos: int | None, contexts: Iterable[str]) -> None:
        for context in contexts:
            sender = _read({"traceparent": context})
            if sender is None or not sender.trace_flags.sampled:
                continue
            attributes = _messaging(self._system, "receive", "process", room)
            root = self._spans.start_span("receive room:{room}", _within(sender), SpanKind.CONSUMER, attributes)
            root.end()
            if pos is not None:
                trace = _Trace(self._spans, root, room, self._system)
                trace.step("apply")
                self._heard.setdefault((room, pos), []).append(trace)
        while len(self._heard) > HEARD:
            self._forgotten += len(self._heard.popitem(last=False)[1])

    def applied(self, events: Sequence[Logged]) -> "Sequence[_Trace]":
        heard = self._heard
        return [trace for event in events if heard for trace in heard.pop((event.room, event.pos), ())]


class _Trace:
    """Steps are the children of one span: the command, or on another node its being received."""

    __slots__ = ("_context", "_room", "_root", "_spans", "_step", "_system")

    def __init__(self, spans: Spans, root: Span, room: str, system: str):
        self._spans = spans
        self._root = root
        self._room = room
        self._system = system
        self._context = set_span_in_context(root, Context())
        self._step: Span | None = None

    @property
    def context(self) -> str:
        now = (self._step or self._root).get_span_context()
        return f"00-{now.trace_id:032x}-{now.span_id:016x}-{now.trace_flags:02x}"

    def step(self, name: Step, **figures: int) -> None:
        self.end()
        if name == "publish":
            attributes = _messaging(self._system, "publish", "send", self._room)
            self._step = self._spans.start_span("publish room:{room}", self._context, SpanKind.PRODUCER, attributes)
        else:
            self._step = self._spans.start_span(name, self._context)
        self._note(figures)

    def end(self, **figures: int) -> None:
        if self._step is not None:
            self._note(figures)
            self._step.end()
            self._step = None

    def _note(self, figures: Mapping[str, int]) -> None:
        if self._step is not None:
            self._step.set_attributes({f"galaxy.{name}": value for name, value in figures.items()})

    def answered(self, code: str) -> None:
        self.end()
        self._root.set_attribute("galaxy.code", code)
        if code in _FAULTS:
            self._root.set_attribute("error.type", code)
            self._root.set_status(StatusCode.ERROR)
        self._root.end()


class _Sending(SpanExporter):
    """What waits to be sent or is on its way, and what was dropped. Added to by the event loop, sent by a thread."""

    def __init__(self, exporter: OTLPSpanExporter):
        self.dropped = 0
        self._waiting = 0
        self._exporter = exporter
        self._lock = Lock()

    def admit(self) -> bool:
        """Whether one more may wait."""
        with self._lock:
            room = self._waiting < WAITING
            self._waiting += room
            self.dropped += not room
        return room

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            with self._lock:
                self._waiting -= len(spans)
                self.dropped += len(spans) if result is SpanExportResult.FAILURE else 0
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library's own


class _Queue(BatchSpanProcessor):
    """The library's. It does not say how many spans it drops, so what would not fit is kept from it."""

    def __init__(self, sending: _Sending):
        super().__init__(sending, WAITING, SEND_MS, BATCH)
        self._sending = sending

    def on_end(self, span: ReadableSpan) -> None:
        if self._sending.admit():
            super().on_end(span)


def _read(carrier: Mapping[str, str]) -> SpanContext | None:
    """The step that a `traceparent` (and `tracestate`) names; None where there is none, or none that can be read."""
    context = get_current_span(_W3C.extract(carrier, Context())).get_span_context()
    return context if context.is_valid else None


def _within(parent: SpanContext | None) -> Context:
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())


def _messaging(system: str, operation: str, kind: str, room: str) -> dict[str, str]:
    return {
        "messaging.system": system,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.destination.name": ports.room_topic(room),
        "messaging.destination.template": "room:{room}",
    }
