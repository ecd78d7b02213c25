"""The one UDP port of a media process."""

import asyncio
import errno
import socket
import sys
from collections.abc import Callable
from functools import cache

import structlog
from aioice.ice import get_host_addresses

from relay.rtc.protect import Protector
from relay.rtc.stun import Address

log = structlog.get_logger("relay.rtc")

_DATAGRAMS_A_WAKE = 256
"""Then the rest of the event loop has its turn."""

_LARGEST = 2_048
_UDP_SEGMENT = 103
_NO_OFFLOAD = frozenset({errno.EIO, errno.ENOPROTOOPT, errno.EOPNOTSUPP})
"""How a kernel or a device says that it cannot cut (udp(7))."""
_NOT_SO = frozenset({errno.EINVAL, errno.EMSGSIZE})
"""Packets above what the way to this address carries are not cut: one by one they may be fragmented."""
BUFFER = 4 * 1024 * 1024
"""Asked of the kernel, which may give less (net.core.rmem_max, wmem_max)."""


class Port:
    """Reads datagrams as they come, and sends without waiting: a full socket is a counted drop."""

    def __init__(
        self, sock: socket.socket, received: Callable[[bytes, Address], None], *, offload: bool = True
    ) -> None:
        """`sock`: UDP, bound. It is the port's from now on. `offload`: the kernel cuts runs, where it can."""
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        self.socket, self._received = sock, received
        self.protector = Protector()
        self.number: int = sock.getsockname()[1]
        self.sent = self.drops = self.errors = 0
        """Datagrams sent; dropped as the socket was full; refused by the kernel (no route, a bad address)."""
        self.offload = offload and _cuts(sock)
        """Whether the kernel cuts runs."""
        asyncio.get_running_loop().add_reader(sock.fileno(), self._read)

    def send(self, data: bytes | memoryview, address: Address) -> bool:
        try:
            self.socket.sendto(data, address)
        except BlockingIOError:
            self.drops += 1
            return False
        except OSError:
            self.errors += 1
            return False
        self.sent += 1
        return True

    def send_run(self, run: memoryview, size: int, count: int, address: Address) -> None:
        """So many packets of `size` bytes each, one after the other, of which the last may be shorter: as one datagram
        that the kernel cuts (UDP_SEGMENT), else one by one.
        """
        if count == 1:
            self.send(run, address)
            return
        if self.offload:
            try:
                self.socket.sendmsg((run,), _cut_at(size), 0, address)
            except BlockingIOError:
                self.drops += count
                return
            except OSError as error:
                if error.errno in _NO_OFFLOAD:
                    self.offload = False
                elif error.errno not in _NOT_SO:
                    self.errors += count
                    return
            else:
                self.sent += count
                return
        for at in range(0, len(run), size):
            self.send(run[at : at + size], address)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        self.socket.close()

    def _read(self) -> None:
        for _ in range(_DATAGRAMS_A_WAKE):
            try:
                data, address = self.socket.recvfrom(_LARGEST)
            except BlockingIOError:
                return
            except OSError:
                # What an earlier datagram met on its way (ICMP) is told here.
                self.errors += 1
                continue
            if data:
                try:
                    self._received(data, address)
                except Exception:
                    # One datagram's affair, whoever sent it: the others behind it are to be read.
                    self.errors += 1
                    log.exception("datagram_failed", length=len(data))


def _cuts(sock: socket.socket) -> bool:
    try:
        sock.getsockopt(socket.SOL_UDP, _UDP_SEGMENT)
    except OSError:
        return False
    return True


@cache
def _cut_at(size: int) -> list[tuple[int, int, bytes]]:
    return [(socket.SOL_UDP, _UDP_SEGMENT, size.to_bytes(2, sys.byteorder))]


def own_addresses(sock: socket.socket) -> tuple[str, ...]:
    """Those at which a bound socket can be reached: its own, or where it listens to all, the machine's."""
    host = sock.getsockname()[0].partition("%")[0]
    if host not in ("0.0.0.0", "::"):  # noqa: S104
        return (host.removeprefix("::ffff:"),)
    found = get_host_addresses(use_ipv4=True, use_ipv6=host == "::")
    return tuple(found) or (("::1", "127.0.0.1") if host == "::" else ("127.0.0.1",))
