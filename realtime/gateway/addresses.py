"""Whose connection this is: the peer, or the client that a trusted proxy names in X-Forwarded-For."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

CACHED = 4_096
"""Addresses of which it is known what they mean: behind a proxy, or when many come back, the same ones come again."""


def parse_networks(cidrs: Iterable[str]) -> Networks:
    """Addresses and CIDR blocks, as the config lists them. Raises ValueError, which names the entry."""
    networks = []
    for cidr in cidrs:
        try:
            networks.append(ip_network(cidr))
        except ValueError as error:
            raise ValueError(f"not an address or CIDR block: {cidr!r} ({error})") from None
    return tuple(networks)


@lru_cache(CACHED)
def parse_address(text: str) -> Address | None:
    """An address as sockets and X-Forwarded-For write it: `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80`.

    An IPv4 address mapped into IPv6 is the IPv4 address. None for anything else (`unknown`, `_hidden`, a name).
    """
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_within(address: str, networks: Networks) -> bool:
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def client_address(peer: str, forwarded_for: str, trusted: Networks) -> str:
    """The right-most address that is not one of our proxies, in the chain `forwarded_for` (comma-separated), `peer`.

    Everything to the left of it was written by that client and proves nothing. Where an entry is no address, the hop
    that passed it on is the last one known; where all are proxies, the left-most is the client.
    """
    if not is_within(peer, trusted):
        return peer
    client = peer
    for hop in reversed(forwarded_for.split(",")):
        address = parse_address(hop)
        if address is None:
            return client
        client = str(address)
        if not any(address in network for network in trusted):
            return client
    return client


@lru_cache(CACHED)
def limit_key(address: str) -> str:
    """What limits an address: an IPv4 address itself, of IPv6 the /64 that one customer is given (RFC 6177)."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)
