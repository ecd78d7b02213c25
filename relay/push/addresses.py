"""Which addresses a stream may be pushed to: none of our own networks, unless the operator allows it."""

import asyncio
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

LOOKUPS = 4
LOOKUP_SECONDS = 5.0
_threads = ThreadPoolExecutor(LOOKUPS, "names")

_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_COMPATIBLE: Final = IPv6Network("::/96")


class NotAllowed(Exception):
    """A host all of whose addresses are private, or otherwise not for streams."""


def read_networks(cidrs: Iterable[str]) -> Networks:
    """`[relay] push_networks`. Raises ValueError."""
    return tuple(ip_network(cidr) for cidr in cidrs)


def is_allowed(address: Address, networks: Networks) -> bool:
    """Whether it is public, or in one of the networks. An IPv4 address within an IPv6 one (mapped, 6to4, Teredo, NAT64)
    is what counts.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_allowed(address.ipv4_mapped, networks)
        if any(address in network for network in networks):
            return True
        inner = _within(address)
        if inner is not None:
            return is_allowed(inner, networks)
        return address.is_global and not address.is_multicast and not address.is_site_local
    return any(address in network for network in networks) or (address.is_global and not address.is_multicast)


def _within(address: IPv6Address) -> IPv4Address | None:
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in (*_NAT64, _COMPATIBLE)):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None


async def resolve(host: str, port: int, networks: Networks) -> list[Address]:
    """The host's addresses that are allowed, in the order of preference. Raises NotAllowed where none is, and OSError
    where there is none at all, or none was found in LOOKUP_SECONDS.

    Names are looked up by LOOKUPS threads of their own: where name servers do not answer, destinations wait for each
    other, and nothing else does. A lookup that nobody waits for any more ends with the system's own patience, and so
    may the process.
    """
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            infos = await asyncio.get_running_loop().run_in_executor(_threads, look_up)
    except TimeoutError:
        raise OSError(f"its name was not found within {LOOKUP_SECONDS:g} s") from None
    found = [ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
    allowed = [address for address in dict.fromkeys(found) if is_allowed(address, networks)]
    if not allowed:
        raise NotAllowed("the host has no public address")
    return allowed
