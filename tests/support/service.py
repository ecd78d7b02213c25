"""A service without its edges: real rooms on whatever store a test brings, nothing bounded, everything allowed."""

from contextlib import AbstractContextManager

from realtime import ports
from realtime.brokers.memory import MemoryBroker
from realtime.brokers.memory_tallies import MemoryTallies
from realtime.hosting.bounds import Bounds
from realtime.hosting.service import Service
from realtime.live.rooms import LiveSettings
from realtime.metrics import Metrics
from realtime.tracing import Tracer
from rooms.decide import Limits
from rooms.drafts import Draft, Verdict

NOTHING_BOUND = Bounds(
    recover_events=1_000,
    recover_bytes=1_000_000,
    ring_bytes=64_000_000,
    joins_at_once=1_000,
    join_wait_seconds=10,
    presence_names=200,
    unsent_bytes=0,
    invite_guesses_per_minute=0,
    reactions_per_second=0,
    live_comments_per_second=0,
)


class AllowAll:
    def judge(self, draft: Draft) -> Verdict:
        return Verdict("allow", "test")


def make_service(
    store: ports.Store,
    clock: ports.Clock,
    *,
    bounds: Bounds = NOTHING_BOUND,
    policy: ports.Policy | None = None,
    answering: AbstractContextManager[object] | None = None,
    broker: ports.Broker | None = None,
    tracer: Tracer | None = None,
    tallies: ports.Tallies | None = None,
    limits: Limits | None = None,
    live: LiveSettings | None = None,
) -> Service:
    policy = policy or AllowAll()
    return Service(
        store,
        broker or MemoryBroker(),
        tallies or MemoryTallies(),
        policy,
        clock,
        limits or Limits(),
        bounds,
        lambda: None,
        Metrics(),
        answering,
        tracer=tracer,
        live=live,
    )
