"""`GET /healthz`, `/readyz` and `/metrics`: for supervisors, load balancers and Prometheus."""

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from realtime.http.answers import answer


class Health:
    def __init__(
        self, unready: Callable[[], str | None], degraded: Callable[[], Sequence[str]], registry: CollectorRegistry
    ):
        """`unready` says why no new clients should come: "starting", "draining"; None where they may. `degraded` names
        what is amiss though they may.
        """
        self._unready = unready
        self._degraded = degraded
        self._registry = registry

    async def alive(self, request: Request) -> Response:
        return answer({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        reason = self._unready()
        if reason is None:
            degraded = self._degraded()
            return answer({"status": "degraded", "degraded": degraded} if degraded else {"status": "ready"})
        return answer({"status": "unready", "reason": reason}, 503)

    async def metrics(self, request: Request) -> Response:
        """Prometheus's text format, or OpenMetrics where `Accept` asks for it."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), headers={"Content-Type": content_type, "Cache-Control": "no-store"})
