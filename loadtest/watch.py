"""What becomes of the server while it is under load: from the system, where its process is here, and `/metrics`."""

import time
from collections.abc import Iterable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from loadtest.processes import cpu_seconds, family, resident_bytes

TIMEOUT = 5.0
"""Seconds that a reading of /metrics may take."""


class Watch:
    """Reads one server. Where `pid` is None, its processor time and memory are what it says itself, if it does."""

    def __init__(self, url: str, pid: int | None):
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT)
        self._pid = pid
        self._last: dict[str, float] = {}
        self._last_at = 0.0

    async def close(self) -> None:
        await self._http.aclose()

    async def rss(self) -> float:
        """Resident bytes now; 0 where nobody says. Raises as `sample` does."""
        if self._pid is not None:
            return float(sum(map(resident_bytes, family(self._pid))))
        return (await self._scraped())[1].get("rss_bytes", 0.0)

    async def connections(self) -> int:
        """That the server has open. Raises httpx.HTTPError."""
        return int((await self._scraped())[1].get("connections", 0))

    async def _scraped(self) -> tuple[dict[str, float], dict[str, float]]:
        """What grows, and what stands."""
        reply = await self._http.get("/metrics")
        reply.raise_for_status()
        totals: dict[str, float] = {}
        found: dict[str, float] = {}
        read(reply.text, totals, found)
        return totals, found

    async def sample(self, scrape: bool = True) -> dict[str, float]:
        """As Second.server; rates and growth are since the last call, and absent at the first.

        Raises httpx.HTTPError, ProcessLookupError.
        """
        now = time.monotonic()
        totals, found = await self._scraped() if scrape else ({}, {})
        if self._pid is not None:
            pids = family(self._pid)
            totals["cpu"] = sum(map(cpu_seconds, pids))
            found["rss_bytes"] = float(sum(map(resident_bytes, pids)))
        took = now - self._last_at
        for name, value in totals.items():
            if name in self._last:
                grown = value - self._last[name]
                found[name] = grown / took if name == "cpu" else grown
        self._last = self._last | totals
        self._last_at = now
        return found


def read(text: str, totals: dict[str, float], found: dict[str, float]) -> None:
    """Sorts a page of metrics (Prometheus' text format): what grows into `totals`, what stands into `found`."""
    for family_ in text_string_to_metric_families(text):
        name = family_.name.removeprefix("galaxy_")
        if family_.name == "process_cpu_seconds":
            totals["cpu"] = _sum(sample.value for sample in family_.samples)
        elif family_.name == "process_resident_memory_bytes":
            found["rss_bytes"] = _sum(sample.value for sample in family_.samples)
        elif name == "queue_depth":
            found.update({f"queue.{sample.labels['queue']}": sample.value for sample in family_.samples})
        elif family_.type == "counter" and name != family_.name:
            totals[name] = _sum(sample.value for sample in family_.samples)
        elif family_.type == "gauge" and name != family_.name:
            found[name] = _sum(sample.value for sample in family_.samples)


def _sum(values: Iterable[float]) -> float:
    return float(sum(values))
