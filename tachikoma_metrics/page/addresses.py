"""IP addresses as servers and headers write them, and the networks they are in."""

from __future__ import annotations

import ipaddress

from tachikoma_metrics.interruptions import pass_on

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        (
            "127.0.0.0/8",
            "::1/128",
            # https://www.rfc-editor.org/rfc/rfc1918 and https://www.rfc-editor.org/rfc/rfc4193
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "fc00::/7",
            # https://www.rfc-editor.org/rfc/rfc3927 and https://www.rfc-editor.org/rfc/rfc4291
            "169.254.0.0/16",
            "fe80::/10",
        ),
    )
)

MAX_ADDRESS_LENGTH = 64
_CLIENT_PREFIX_LENGTH = {4: 24, 6: 64}


def read_address(text: str) -> Address | None:
    """Parse an address, with or without port, brackets and zone; return None if it is invalid.

    An IPv4-mapped IPv6 address (``::ffff:192.0.2.1``) is the IPv4 address.
    """
    text = text.strip()
    if len(text) > MAX_ADDRESS_LENGTH:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError as error:
        pass_on(error)
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def is_in(text: str, networks: tuple[Network, ...]) -> bool:
    """Return whether ``text`` is an address in one of the networks."""
    address = read_address(text)
    return address is not None and any(address in network for network in networks)


def client_network(peer: str) -> str:
    """Return the network of a peer, as large as one client may own: a /24, or a /64 of IPv6."""
    address = read_address(peer)
    if address is None:
        return ""
    prefix_length = _CLIENT_PREFIX_LENGTH[address.version]
    return str(ipaddress.ip_network(f"{address}/{prefix_length}", strict=False))
