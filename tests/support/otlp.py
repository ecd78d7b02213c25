"""A collector of the tests' own: takes spans by OTLP over HTTP, or does not."""

import http.server
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Encoded
from opentelemetry.proto.trace.v1.trace_pb2 import Status

_SECONDS = 20.0


@dataclass(frozen=True)
class Span:
    """One as it was sent. Ids are in hexadecimal, times in nanoseconds since the Unix epoch; `parent` may be empty."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    begin: int
    end: int
    failed: bool
    attributes: Mapping[str, Any]
    service: str
    node: str


class Collector:
    """Listens on a free port of the loopback from the beginning on. While it is `stalled` it takes requests and does
    not answer; `status` is what it answers.
    """

    def __init__(self) -> None:
        self.status = 200
        self.spans: list[Span] = []
        self.requests = 0
        """Requests that have come, answered or not."""
        self._going_on = threading.Event()
        self._going_on.set()
        self._more = threading.Condition()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with collector._more:
                    collector.requests += 1
                    collector._more.notify_all()
                collector._going_on.wait()
                if self.path == "/v1/traces" and collector.status == 200:
                    collector._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """Who did not wait for the answer has gone."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resume()
        self.close()

    def close(self) -> None:
        """Nobody listens there any more."""
        self._server.shutdown()
        self._server.server_close()

    def stall(self) -> None:
        self._going_on.clear()

    def resume(self) -> None:
        self._going_on.set()

    def until(self, true: Callable[[], bool]) -> None:
        """Looks whenever something comes."""
        with self._more:
            assert self._more.wait_for(true, _SECONDS), [span.name for span in self.spans]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]

    def _take(self, request: ExportTraceServiceRequest) -> None:
        with self._more:
            for resource in request.resource_spans:
                named = _values(resource.resource.attributes)
                for scope in resource.scope_spans:
                    self.spans += [
                        _span(span, named["service.name"], named["service.instance.id"]) for span in scope.spans
                    ]
            self._more.notify_all()


def _span(span: Encoded, service: str, node: str) -> Span:
    return Span(
        name=span.name,
        kind=Encoded.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        begin=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        attributes=_values(span.attributes),
        service=service,
        node=node,
    )


def _values(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "") for one in attributes}
