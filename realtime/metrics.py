"""What Prometheus may know of this process.

Hot paths touch the few instruments of `Metrics`, whose children are kept; all else is read when somebody scrapes.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sized
from itertools import accumulate

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from realtime.gateway.http_edge import HttpEdge
from realtime.gateway.websocket import Counters as SocketCounters
from realtime.hosting.service import Service
from realtime.ports import Broker

disable_created_metrics()  # type: ignore[no-untyped-call]  # one more series a label set, of no use: it says when we started

LATENCIES = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds."""
CLOSE_CODES = frozenset(
    (1000, 1001, 1002, 1003, 1005, 1006, 1007, 1009, 1011, 3001, 3005, 3008, 3012, 3013, 3500, 3501, 3503, 3504)
)
"""Each has a label of its own; a peer may invent others, which are counted together."""


class Metrics:
    """The instruments that code holds on to, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # A plain dict, read at each scrape: counting a command must cost next to nothing.
        self._commands: dict[tuple[str, str], int] = {}
        self.registry.register(_Commands(self._commands))
        self._closed = Counter(
            "galaxy_websocket_closed", "WebSocket connections ended, by close code.", ["code"], registry=self.registry
        )
        self._commit_seconds = Histogram(
            "galaxy_commit_seconds", "From handing rooms' batches to the store until they are durable.",
            buckets=LATENCIES, registry=self.registry,
        )  # fmt: skip
        self._events = Counter("galaxy_events_logged", "Events written to rooms' logs.", registry=self.registry)
        self._fanout = Latencies()
        self.registry.register(
            _Histogram(
                "galaxy_fanout_seconds",
                "From publishing a room's first event of a tick until it is written to all.",
                self._fanout,
            )
        )
        self._waited_seconds = Histogram(
            "galaxy_admission_wait_seconds", "Waiting for a place, of those who came when there was none.",
            buckets=(*LATENCIES, 10.0), registry=self.registry,
        )  # fmt: skip

    def command(self, command: str, code: str) -> None:
        """A command was answered. `command` is a known type, or "?"; `code` is `ok` or an error code."""
        self._commands[command, code] = self._commands.get((command, code), 0) + 1

    def closed(self, code: int) -> None:
        """A WebSocket connection has ended."""
        self._closed.labels(str(code) if code in CLOSE_CODES else "other").inc()

    def committed(self, seconds: float, events: int) -> None:
        """So many events are durable, this long after they were handed to the store."""
        self._commit_seconds.observe(seconds)
        self._events.inc(events)

    def flushed(self, seconds: float) -> None:
        """A room's pending events were written to its listeners, this long after the first of them was published."""
        self._fanout.observe(seconds)

    def waited(self, seconds: float) -> None:
        """Somebody who wanted in, to the server or to a room, has had to wait so long for a place."""
        self._waited_seconds.observe(seconds)

    def watch(self, sources: "Sources") -> None:
        """Shows what `sources` say, from now on."""
        self.registry.register(_Watched(sources))


class Latencies:
    """A histogram by LATENCIES for what happens once a room and tick: noting a value costs a tenth of what the
    library's histogram takes, which locks for each of its numbers.
    """

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(LATENCIES) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self.counts[bisect_left(LATENCIES, seconds)] += 1
        self.total += seconds


class _Histogram(Collector):
    def __init__(self, name: str, text: str, latencies: Latencies):
        self._name = name
        self._text = text
        self._latencies = latencies

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        names = [*map(floatToGoString, LATENCIES), "+Inf"]
        buckets = list(zip(names, accumulate(self._latencies.counts), strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets, self._latencies.total)


class _Commands(Collector):
    def __init__(self, answered: Mapping[tuple[str, str], int]):
        self._answered = answered

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        text = "Commands answered, by type and by `ok` or error code."
        family = CounterMetricFamily("galaxy_commands", text, labels=["type", "code"])
        for labels, count in self._answered.items():
            family.add_metric(labels, count)
        yield family


class Sources(Struct, frozen=True):
    """What is read at each scrape."""

    service: Service
    broker: Broker
    edge: HttpEdge
    sockets: SocketCounters
    connections: Mapping[str, Sized]
    """Open connections by kind: `websocket`, `sse`."""
    queues: Mapping[str, Callable[[], int]]
    """Depths of queues, by name, beside the rooms' inboxes."""
    outbox_lag_ms: Callable[[], int]


class _Watched(Collector):
    def __init__(self, sources: Sources):
        self._sources = sources

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        yield from self._gauges()
        yield from self._counters()
        refused = CounterMetricFamily("galaxy_http_refused", "Requests refused at the edge.", labels=["reason"])
        for reason, count in self._sources.edge.refused.items():
            refused.add_metric([reason], count)
        yield refused

    def _gauges(self) -> Iterable[Metric]:
        sources = self._sources
        service = sources.service
        connections = GaugeMetricFamily("galaxy_connections", "Open connections.", labels=["kind"])
        for kind, those in sources.connections.items():
            connections.add_metric([kind], len(those))
        yield connections
        yield _gauge("galaxy_tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
        yield _gauge("galaxy_users_online", "Users with a connection here.", len(service.users.online))
        yield _gauge("galaxy_rooms_loaded", "Rooms held in memory.", len(service.directory.hosts))
        yield _gauge("galaxy_rooms_listened", "Rooms that somebody here listens to.", len(service.hub.channels))
        depths = GaugeMetricFamily("galaxy_queue_depth", "What waits in a queue.", labels=["queue"])
        depths.add_metric(["inboxes"], sum(host.waiting for host in service.directory.hosts.values()))
        depths.add_metric(["arrivals"], service.arrivals.waiting)
        depths.add_metric(["joins"], service.joining.places.waiting)
        for name, depth in sources.queues.items():
            depths.add_metric([name], depth())
        yield depths
        rings = service.rings
        yield _gauge("galaxy_rings", "Rooms whose latest events are at hand for who comes back.", len(rings))
        yield _gauge("galaxy_ring_bytes", "Memory that these events take.", rings.bytes)
        lag = sources.outbox_lag_ms() / 1_000
        yield _gauge("galaxy_nodes", "Nodes heard, with this one.", 1 + len(service.following.peers))
        degraded = "Whether other nodes' messages come by way of the log, as the broker is away or a node silent."
        yield _gauge("galaxy_degraded", degraded, service.following.degraded)
        yield _gauge("galaxy_broker_up", "Whether the broker carries messages.", sources.broker.up)
        yield _gauge("galaxy_tallies_up", "Whether counts are shared with other nodes.", service.tallies.up)
        yield _gauge("galaxy_broker_waiting_bytes", "What waits to be sent to the broker.", sources.broker.waiting)
        yield _gauge("galaxy_outbox_lag_seconds", "Age of the oldest interaction record that waits.", lag)

    def _counters(self) -> Iterable[Metric]:
        hub, sockets = self._sources.service.hub.counters, self._sources.sockets
        yield _counter("galaxy_deliveries", "Events written to listeners, one each.", hub.deliveries)
        yield _counter("galaxy_delivered_bytes", "Bytes of those events.", hub.bytes)
        yield _counter("galaxy_fanout_flushes", "Rooms' pending events written.", hub.flushes)
        yield _counter("galaxy_fanout_overruns", "Times that too many events waited in a room.", hub.overruns)
        yield _counter("galaxy_lagging_listeners", "Times that a listener fell behind.", hub.lagging)
        yield _counter("galaxy_slow_listeners", "Listeners ended as they read too slowly.", hub.slow)
        yield _counter("galaxy_events_spared", "Events that a room's listeners were spared for load.", hub.spared)
        service = self._sources.service
        refused = CounterMetricFamily(
            "galaxy_admission_refused", "Those who waited too long to be let in, or into a room.", labels=["into"]
        )
        refused.add_metric(["server"], service.arrivals.refused)
        refused.add_metric(["room"], service.joining.places.refused)
        yield refused
        yield _counter(
            "galaxy_broker_dropped",
            "Messages to other nodes that were, or may have been, lost.",
            self._sources.broker.dropped,
        )
        tallies = service.tallies
        yield _counter("galaxy_tallies_failed", "Times that counts over nodes were not had in time.", tallies.failed)
        yield _counter("galaxy_tallies_dropped", "Counts that too many others waited before.", tallies.dropped)
        yield _counter("galaxy_broker_heard", "Messages of other nodes.", service.following.counters.heard)
        yield _counter(
            "galaxy_log_reads", "Times that a room was read from the log to keep up.", service.keeping_up.reads
        )
        yield _counter(
            "galaxy_room_resets", "Times that a room had gone on by more than could be told.", service.keeping_up.resets
        )
        if service.tracer is not None:
            yield _counter(
                "galaxy_spans_dropped", "Spans of traces that did not get to the collector.", service.tracer.dropped
            )
        rings = service.rings.counters
        yield _counter(
            "galaxy_recoveries", "Times that somebody who came back was given what was missed.", rings.recoveries
        )
        yield _counter("galaxy_recovery_waits", "Of these, how many had to wait for the store.", rings.waits)
        yield _counter("galaxy_recovery_reads", "Reads of the store for recoveries.", rings.reads)
        yield _counter("galaxy_rings_dropped", "Rooms whose latest events made room for others'.", rings.dropped)
        yield _counter("galaxy_websocket_opened", "WebSocket connections opened.", sockets.opened)
        yield _counter("galaxy_websocket_messages_received", "Messages from clients.", sockets.messages_in)
        yield _counter("galaxy_websocket_bytes_received", "Bytes from WebSocket clients.", sockets.bytes_in)
        yield _counter("galaxy_websocket_pongs_skipped", "Pings answered by a later pong.", sockets.pongs_skipped)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value)
