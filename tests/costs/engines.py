"""What Redis and PostgreSQL say of their own work."""

import os
from pathlib import Path

from msgspec import Struct

from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer

_TICKS = os.sysconf("SC_CLK_TCK")


class RedisWork(Struct, frozen=True):
    """Since the server's start."""

    cpu: float
    """Seconds, user and system."""
    received: int
    """Bytes of commands."""
    sent: int
    """Bytes of replies, and of what is sent to subscribers."""
    envelopes: int
    """PUBLISH commands."""

    @classmethod
    def of(cls, server: RedisServer) -> "RedisWork":
        with server.client() as client:
            info = client.info("everything")
        return cls(
            cpu=info["used_cpu_user"] + info["used_cpu_sys"],
            received=info["total_net_input_bytes"],
            sent=info["total_net_output_bytes"],
            envelopes=info.get("cmdstat_publish", {}).get("calls", 0),
        )


def postgres_cpu(server: PostgresServer) -> float:
    """Seconds of processor time of all its processes, those that have ended too (proc(5): utime to cstime)."""
    (pid,) = [int(line) for line in (server.data / "postmaster.pid").read_text().splitlines()[:1]]
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    main = _times(pid)
    return (sum(main) + sum(sum(_times(int(child))[:2]) for child in children)) / _TICKS


def _times(pid: int) -> list[int]:
    """Ticks: user, system; and those of children that have been waited for. Zeros for a process that has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return [0] * 4
    return [int(field) for field in stat.rpartition(") ")[2].split()[11:15]]


def postgres_wal(server: PostgresServer) -> int:
    """Bytes of write-ahead log so far."""
    ((found,),) = server.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    return int(str(found))
