"""Unix sockets by the path of a file, however long that path is."""

import os
import socket
from collections.abc import Callable
from pathlib import Path


def listen(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM, backlog: int = 64) -> socket.socket:
    """A socket bound to `path`, non-blocking, that listens where its kind does; for this user alone (mode 0600). What
    another process has left there is replaced. Makes the folder (mode 0700). Raises OSError, which names the path.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        sock.setblocking(False)
        beside = path.with_name(f"{path.name}.{os.getpid()}")
        beside.unlink(missing_ok=True)
        _at(beside, sock.bind)
        beside.chmod(0o600)
        if kind != socket.SOCK_DGRAM:
            sock.listen(backlog)
        beside.replace(path)  # so that nobody ever finds a socket there that does not listen
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {path}: {error.strerror}") from error
    return sock


def connect(path: Path, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
    """A non-blocking socket connected to it. Raises OSError: nobody listens there, or its queue is full."""
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        sock.setblocking(False)
        _at(path, sock.connect)
    except OSError:
        sock.close()
        raise
    return sock


def _at(path: Path, act: Callable[[str], None]) -> None:
    """The 107 bytes of an address (unix(7)) hold the path by way of its opened folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        act(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
