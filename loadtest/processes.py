"""What the system says of a process and those it has started (proc(5))."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def family(pid: int) -> list[int]:
    """The process and all that it has started, and they in turn. Raises ProcessLookupError where there is none."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        raise ProcessLookupError(f"there is no process {pid}") from None
    found = [pid]
    for child in children:
        try:
            found += family(int(child))
        except ProcessLookupError:
            continue  # it has just ended
    return found


def cpu_seconds(pid: int) -> float:
    """Time on the processor so far, all threads, user and system. Raises ProcessLookupError."""
    fields = _read(pid, "stat").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_bytes(pid: int) -> int:
    """Memory that it has at present. Raises ProcessLookupError."""
    return int(_read(pid, "statm").split()[1]) * _PAGE


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(f"there is no process {pid}") from None
