"""Ports that servers are told."""

import socket
from collections import deque
from pathlib import Path

import pytest

from loadtest import ports
from loadtest.ports import HOST, PORTS, free_port


def test_no_outgoing_connection_is_given_one() -> None:
    lowest, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert lowest >= PORTS.stop


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_none_is_in_use_nor_those_above_it(kind: socket.SocketKind, monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_port(1, 2, 3)
    monkeypatch.setattr(ports, "PORTS", range(first, first + 3))
    monkeypatch.setattr(ports, "_given", deque(maxlen=0))
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((HOST, first + 1))
        assert {free_port() for _ in range(50)} == {first, first + 2}
        assert {free_port(1) for _ in range(20)} == {first + 2}


def test_one_is_given_once_though_nobody_listens_there_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    start = ports.PORTS.start
    monkeypatch.setattr(ports, "PORTS", range(start, start + 200))
    given = [free_port() for _ in range(50)]
    assert len(set(given)) == 50
    first = free_port(1, 2)
    assert not {first, first + 1, first + 2} & {*given, free_port()}
