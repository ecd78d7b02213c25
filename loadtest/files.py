"""How many sockets a process may have open."""

import resource

SPARE = 100
"""Descriptors that a process needs besides those of its connections."""


def allow_many() -> int:
    """Raises this process's limit, and that of those it starts, as far as it may. Returns what that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
