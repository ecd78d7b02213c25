"""Which addresses a stream may be pushed to: none of our own networks, unless the operator allows it."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from relay.push.lookups import LookUp

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

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


async def resolve(host: str, port: int, networks: Networks, look_up: LookUp) -> list[Address]:
    """The host's addresses that are allowed, in the order of preference; a host that is an address is not looked up.
    Raises NotAllowed where none is, and OSError as `look_up` does.
    """
    try:
        found = [ip_address(host)]
    except ValueError:
        found = [ip_address(text) for text in await look_up(host, port)]
    allowed = [address for address in dict.fromkeys(found) if is_allowed(address, networks)]
    if not allowed:
        raise NotAllowed("the host has no public address")
    return allowed
