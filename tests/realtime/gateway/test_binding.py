import errno
import socket

import pytest

from realtime.gateway.binding import bind, port_of


def close(*sockets: socket.socket) -> None:
    for sock in sockets:
        sock.close()


def test_a_port_in_use_is_named() -> None:
    (first,) = bind("127.0.0.1", 0)
    first.listen()
    port = port_of([first])
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}: .*in use") as refused:
        bind("127.0.0.1", port)
    assert refused.value.errno == errno.EADDRINUSE
    close(first)


@pytest.mark.parametrize("host", ["192.0.2.1", "nowhere.invalid"])
def test_an_address_of_elsewhere_is_named(host: str) -> None:
    with pytest.raises(OSError, match=f"cannot listen on {host} port 8080: "):
        bind(host, 8080)


def test_an_address_can_be_shared_where_all_agree() -> None:
    first = bind("127.0.0.1", 0, shared=True)
    second = bind("127.0.0.1", port_of(first), shared=True)
    assert port_of(first) == port_of(second)
    close(*first, *second)


def test_all_addresses_of_a_name_get_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    def both(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 0)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    sockets = bind("both.example", 0)
    assert [sock.getsockname()[0] for sock in sockets] == ["127.0.0.1", "127.0.0.2"]
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    close(*sockets)
