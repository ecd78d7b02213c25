"""The sockets that a server listens on: bound here, listened on by who serves (`GalaxyServer.serve`)."""

import socket


def bind(
    host: str, port: int, *, shared: bool = False, kind: socket.SocketKind = socket.SOCK_STREAM
) -> list[socket.socket]:
    """Sockets (of TCP unless `kind` says otherwise) bound to every address that `host` names, all on one port; 0 takes
    a free one.

    With `shared` others may bind the same address, each to have a part of its connections (SO_REUSEPORT). Raises
    OSError, which names the address, where it is in use, not of this machine, or no name that resolves.
    """
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)
        for family, _, protocol, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, protocol)
            bound.append(sock)
            if kind == socket.SOCK_STREAM:  # of UDP others could take the port, and with it the datagrams
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port, *address[2:]))
            port = sock.getsockname()[1]
    except OSError as error:
        for sock in bound:
            sock.close()
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error
    return bound


def bind_udp(host: str, port: int) -> list[socket.socket]:
    """One UDP socket, bound to the first address that `host` names. Raises OSError as `bind` does."""
    first, *others = bind(host, port, kind=socket.SOCK_DGRAM)
    for sock in others:
        sock.close()
    return [first]


def bind_admin(host: str, port: int, slot: int) -> list[socket.socket]:
    """What the process in place `slot` of several is asked on how it is; nothing where `port` is 0."""
    return bind(host, port + slot) if port else []


def port_of(sockets: list[socket.socket]) -> int:
    """The port that they are bound to."""
    return int(sockets[0].getsockname()[1])
