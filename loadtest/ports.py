"""Ports for servers that are told theirs before they listen."""

import secrets
import socket
from collections import deque

HOST = "127.0.0.1"
PORTS = range(10_000, 32_768)
"""Below those that Linux gives to outgoing connections: one of these could take a port before its server does, or
while the server is down between two starts."""

_given: deque[int] = deque(maxlen=1_000)


def free_port(*also: int) -> int:
    """A port of the loopback that is free now for TCP and UDP, as are those so far above it; not one that this process
    has been given lately, as whoever was may not listen yet, or not just now.
    """
    while True:
        port = secrets.choice(PORTS)
        ports = [port, *(port + more for more in also)]
        if not any(one in _given for one in ports) and all(map(_free, ports)):
            _given.extend(ports)
            return port


def _free(port: int) -> bool:
    try:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_INET, kind) as one:
                one.bind((HOST, port))
    except OSError:
        return False
    return True
