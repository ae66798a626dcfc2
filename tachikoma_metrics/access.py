"""Who may read the page.

By default whoever comes from a private network, directly and through every proxy on the
way: an address that a header names can keep a caller out, but never let one in. Only where
the peer has none, at a Unix socket, a header has to say who asks: the proxy has to set it.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.http import HttpRequest
from django.utils.module_loading import import_string

from tachikoma_metrics.conf import config
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import METRICS

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANYWHERE = "*"
PRIVATE = "private"

_PRIVATE_NETWORKS = tuple(
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

_HEADERS_OF_CLIENTS = (
    "X-Forwarded-For",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Fastly-Client-IP",
    "Fly-Client-IP",
)
"""Headers by which proxies tell who asked them, beside ``Forwarded``."""

# No quoted node spans a separator: a quote that a client leaves open would hide the node
# that a proxy appends.
_FORWARDED_FOR = re.compile(r'(?:^|[;,\s])for\s*=\s*("[^"\\;,\s]*"|[^;,\s]*)', re.IGNORECASE)
"""https://www.rfc-editor.org/rfc/rfc7239#section-4"""

_LONGEST_ADDRESS = 64
_FILE = "file:"


@dataclass(frozen=True)
class Refusal:
    """Say why a request may not read the page, and what would allow it."""

    status: int
    reason: str
    challenge: str = ""


_BY_NETWORK = Refusal(
    403,
    "This page is not for the address of this request, or for one it was forwarded for. "
    "`ALLOWED_NETWORKS` says which networks may read it; with `TOKENS`, a bearer token does.",
)
_BY_TOKEN = Refusal(
    401,
    "This page asks for a bearer token: `Authorization: Bearer ...`, with one of `TOKENS`.",
    'Bearer realm="metrics"',
)
_BY_PERMISSION = Refusal(403, "This page is not for this request: `PERMISSION` refused it.")


_BY_MISTAKE = Refusal(
    403,
    "Nobody may read this page, for a setting that says who may is wrong; `manage.py check` "
    "says which.",
)


def refusal(request: HttpRequest) -> Refusal | None:
    """Return why ``request`` may not read the page; None if it may. Never raises."""
    try:
        if not config().tells_who_may_read:
            return _BY_MISTAKE
        if not _is_from_allowed_network(request):
            return _BY_NETWORK
        if config().tokens and not _has_token(request):
            return _BY_TOKEN
        return None if _is_permitted(request) else _BY_PERMISSION
    except Exception as error:
        METRICS.fault("access", error)
        return _BY_NETWORK


# --- networks ---------------------------------------------------------------


def _is_from_allowed_network(request: HttpRequest) -> bool:
    allowed = config().allowed_networks
    if ANYWHERE in allowed:
        return True
    networks = _networks(allowed)
    addresses = list(_addresses(request))
    # Whoever comes by a Unix socket has no address: then a proxy has to name one.
    return bool(addresses) and all(_is_in(address, networks) for address in addresses)


@lru_cache(16)
def _networks(allowed: tuple[str, ...]) -> tuple[Network, ...]:
    networks: list[Network] = []
    for network in allowed:
        networks += _PRIVATE_NETWORKS if network == PRIVATE else [ipaddress.ip_network(network)]
    return tuple(networks)


def _is_in(address: Address | None, networks: tuple[Network, ...]) -> bool:
    return address is not None and any(address in network for network in networks)


def _addresses(request: HttpRequest) -> Iterator[Address | None]:
    """Yield the peer's address and all that headers name; None for one nobody can read."""
    peer = request.META.get("REMOTE_ADDR")
    if peer:
        yield read_address(peer)
    for name in _HEADERS_OF_CLIENTS:
        yield from _named(request.headers.get(name, "").split(","))
    forwarded = request.headers.get("Forwarded", "")
    if forwarded:
        nodes = _FORWARDED_FOR.findall(forwarded)
        yield from _named(node.strip('"') for node in nodes)


def _named(texts: Iterator[str] | list[str]) -> Iterator[Address | None]:
    for text in texts:
        if text.strip():
            yield read_address(text)


def read_address(text: str) -> Address | None:
    """Return an address, with or without port, brackets and zone; None if it is none.

    An IPv4 address in IPv6's clothes (``::ffff:192.0.2.1``) is the IPv4 address.
    """
    text = text.strip()
    if len(text) > _LONGEST_ADDRESS:
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


# --- tokens -----------------------------------------------------------------


def _has_token(request: HttpRequest) -> bool:
    # https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    scheme, _, given = request.headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        return False
    candidate = given.strip().encode("utf-8", "surrogateescape")
    # All are compared, however early one fits: how long it takes tells nothing.
    fits = [hmac.compare_digest(candidate, token.encode()) for token in _tokens()]
    return any(fits)


def _tokens() -> Iterator[str]:
    for token in config().tokens:
        if token.startswith(_FILE):
            yield from _tokens_in(token.removeprefix(_FILE))
        else:
            yield token


def _tokens_in(path: str) -> list[str]:
    """Return the lines of a file, which may change while the service runs."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        METRICS.fault("access", error, "a file of `TOKENS`")
        return []
    return [line.strip() for line in lines if line.strip()]


# --- permission -------------------------------------------------------------


def _is_permitted(request: HttpRequest) -> bool:
    path = config().permission
    if path is None:
        return True
    try:
        return import_string(path)(request) is True
    except Exception as error:
        METRICS.fault("access", error, path)
        return False
