"""Who may read the metrics endpoint.

By default requests from private networks, directly and through every proxy on the way: an
address that a header names can only deny access, never grant it. Where nothing but networks
decides, a request is rejected as well if it shows that its peer is not its client: a proxy
names none, a server removes what a proxy named, or a browser was led here by a foreign name.

At a Unix socket there is no peer's address. There a header grants access, if
``ALLOWED_NETWORKS`` says that the proxy sets it.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.utils.module_loading import import_string

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import Config, allowed_hosts, config
from tachikoma_metrics.conf.validators import AT_UNIX_SOCKET
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.page.forwarding import (
    FORWARDED,
    NAMES_OF_ADDRESSES,
    NODES,
    SIGN_OF_PROXY_PROTOCOL,
    SIGN_OF_WAITRESS,
    SIGNS_OF_BROWSERS,
    SIGNS_OF_PROXIES,
    TAKES_HEADERS_OF_EVERY_PEER,
    TAKES_PROXY_PROTOCOL_OF_EVERY_PEER,
    VARIABLES_OF_TRUST,
)
from tachikoma_metrics.registry import METRICS, Event

logger = logging.getLogger("tachikoma_metrics")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Headers = Mapping[str, Any]
"""``request.META``."""

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

_LONGEST_ADDRESS = 64
_LONGEST_HEADER = 2048
_MOST_ADDRESSES = 32
"""More than any chain of proxies has: to reject a request has to stay cheap."""
_UNREADABLE = ""
_NO_ADDRESS = "0.0.0.0"  # noqa: S104  # uWSGI's word for the peer at a Unix socket.
_FILE = "file:"

_MOST_LOGGED = 100
_BITS_OF_NETWORK = {4: 24, 6: 64}


@dataclass(frozen=True)
class Refusal:
    """Say why a request may not read the metrics, and what would allow it.

    ``kind`` is one of ``catalogue.REFUSALS``; ``about`` is for the log alone.
    """

    status: int
    kind: str
    reason: str
    challenge: str = ""
    about: str = ""


_BY_ADDRESS = Refusal(403, "address", "client address is not in ALLOWED_NETWORKS.")
_BY_SOCKET = Refusal(
    403,
    "unix_socket",
    "a Unix socket has no client address; add the header that the proxy sets to "
    'ALLOWED_NETWORKS, such as "unix:X-Forwarded-For", or use TOKENS.',
)
_BY_SERVER = Refusal(
    403,
    "server",
    "ALLOWED_NETWORKS cannot decide, as waitress removes the client address that a proxy "
    "forwards; use TOKENS or PERMISSION.",
)
_BY_TRUST = Refusal(
    403,
    "server",
    "ALLOWED_NETWORKS cannot decide, as this server takes the client address from what any peer "
    "says; have it trust the proxy alone, or use TOKENS or PERMISSION.",
)
_BY_PROXY = Refusal(
    403,
    "proxy",
    "ALLOWED_NETWORKS cannot decide, as the header {header} is from a proxy and none names the "
    "client; have the proxy set X-Forwarded-For, or use TOKENS or PERMISSION.",
)
_BY_BROWSER = Refusal(
    403,
    "browser",
    "ALLOWED_NETWORKS does not admit browsers under a host that is not in ALLOWED_HOSTS; add "
    "the host, or use TOKENS or PERMISSION.",
)
_BY_TOKEN = Refusal(
    401,
    "token",
    "a bearer token of TOKENS is required in the Authorization header.",
    'Bearer realm="metrics"',
)
_BY_PERMISSION = Refusal(403, "permission", "PERMISSION rejected this request.")
_BY_SETTINGS = Refusal(
    403, "settings", "an access setting is invalid; run manage.py check on the server."
)
_BY_ERROR = Refusal(403, "error", "access could not be decided; the log of the server says why.")

BUSY = Refusal(503, "busy", "there are too many connections.")

_SCRAPE_REFUSED = Event("access", ("reason",), catalogue.SCRAPES_REFUSED)

_logged: set[tuple[str, str]] = set()
METRICS.on_reset(_logged.clear)


def refusal(request: HttpRequest) -> Refusal | None:
    """Return why ``request`` may not read the metrics; None if it may. Never raises."""
    try:
        refused = _refusal_at_first_sight(request.META)
        if refused is not None:
            return refused
        if config().tokens and not _has_token(request):
            return _BY_TOKEN
        return None if _is_permitted(request) else _BY_PERMISSION
    except Exception as error:
        METRICS.count_error("access", error)
        return _BY_ERROR


def refusal_at_first_sight(request: HttpRequest) -> Refusal | None:
    """Return what ``refusal`` would, as far as neither a file nor the project is asked for it.

    So it may be called on an event loop. Never raises.
    """
    try:
        return _refusal_at_first_sight(request.META)
    except Exception as error:
        METRICS.count_error("access", error)
        return _BY_ERROR


def refusal_of_peer(address: str) -> Refusal | None:
    """Return why no request of this peer may read the metrics; None if one may. Never raises."""
    try:
        allowed = config().allowed_networks
        if not config().is_access_valid:
            return _BY_SETTINGS
        is_allowed = ANYWHERE in allowed or _is_in(address, _networks(allowed))
        return None if is_allowed else _BY_ADDRESS
    except Exception as error:
        METRICS.count_error("access", error)
        return _BY_ERROR


def record_refusal(refused: Refusal, peer: str) -> None:
    """Count a refused scrape, and log the first of its kind from the peer's network.

    Never raises.
    """
    try:
        _SCRAPE_REFUSED.record((refused.kind,), (1,))
        key = refused.kind, network_of(peer)
        if key in _logged or len(_logged) >= _MOST_LOGGED:
            return
        _logged.add(key)
        logger.warning(
            "Rejected a scrape by %s%s: %s Others from its network are not logged, but counted in "
            "tachikoma_metrics_scrapes_refused_total.",
            repr(peer[:_LONGEST_ADDRESS]) if peer else "a client of a Unix socket",
            refused.about,
            refused.reason,
        )
    except Exception as error:
        METRICS.count_error("access", error)


def network_of(peer: str) -> str:
    """Return the network of a peer, as large as one client may have: /24, or /64 of IPv6."""
    address = read_address(peer)
    if address is None:
        return ""
    network = ipaddress.ip_network(f"{address}/{_BITS_OF_NETWORK[address.version]}", strict=False)
    return str(network)


def _refusal_at_first_sight(headers: Headers) -> Refusal | None:
    settings = config()
    if not settings.is_access_valid:
        return _BY_SETTINGS
    if ANYWHERE not in settings.allowed_networks:
        refused = _refusal_by_network(headers, settings)
        if refused is not None:
            return refused
    return _BY_TOKEN if settings.tokens and _bearer(headers) is None else None


# --- networks ---------------------------------------------------------------


def _refusal_by_network(headers: Headers, settings: Config) -> Refusal | None:
    networks = _networks(settings.allowed_networks)
    peer = _peer(headers)
    if peer and not _is_in(peer, networks):
        return _BY_ADDRESS
    at_socket = () if peer else _headers_at_socket(settings.allowed_networks)
    naming: set[str] = set()
    for count, (name, node) in enumerate(_named(headers, at_socket), 1):
        if count > _MOST_ADDRESSES or not _is_in(node, networks):
            return replace(_BY_ADDRESS, about=f", forwarded for {node[:_LONGEST_ADDRESS]!r}")
        naming.add(name)
    if not peer and naming.isdisjoint(at_socket):
        return _BY_SOCKET
    if settings.tokens or settings.permission is not None:
        return None
    return _refusal_by_networks_alone(headers, peer, naming)


def _refusal_by_networks_alone(headers: Headers, peer: str, naming: set[str]) -> Refusal | None:
    """Return why nothing but networks cannot decide about a request that is from one of them."""
    if SIGN_OF_WAITRESS in headers or "waitress" in headers.get("SERVER_SOFTWARE", ""):
        return _BY_SERVER
    if peer and _is_what_a_client_said(peer, headers):
        return _BY_TRUST
    sign = None if naming else _first(headers, SIGNS_OF_PROXIES)
    if sign is not None:
        return replace(_BY_PROXY, reason=_BY_PROXY.reason.format(header=_as_sent(sign)))
    return _BY_BROWSER if _is_of_browser(headers) and not _is_known_host(headers) else None


@lru_cache(16)
def _networks(allowed: tuple[str, ...]) -> tuple[Network, ...]:
    named = [network for network in allowed if not network.startswith(AT_UNIX_SOCKET)]
    if allowed and not named:
        named = [PRIVATE]
    networks: list[Network] = []
    for network in named:
        networks += _PRIVATE_NETWORKS if network == PRIVATE else [ipaddress.ip_network(network)]
    return tuple(networks)


@lru_cache(16)
def _headers_at_socket(allowed: tuple[str, ...]) -> tuple[str, ...]:
    entries = (entry for entry in allowed if entry.startswith(AT_UNIX_SOCKET))
    names = (entry.removeprefix(AT_UNIX_SOCKET) for entry in entries)
    return tuple(f"HTTP_{name.upper().replace('-', '_')}" for name in names)


def _is_in(text: str, networks: tuple[Network, ...]) -> bool:
    address = read_address(text)
    return address is not None and any(address in network for network in networks)


def _peer(headers: Headers) -> str:
    """Return the peer's address; an empty one at a Unix socket."""
    # uvicorn may put there what a header says, and the socket's path here.
    if str(headers.get("SERVER_NAME", "")).startswith("/"):
        return ""
    peer = headers.get("REMOTE_ADDR") or ""
    return "" if peer == _NO_ADDRESS else peer


def _named(headers: Headers, more: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each address that a header names, with the header."""
    for name, value in headers.items():
        if name.startswith("HTTP_") and (name.endswith(NAMES_OF_ADDRESSES) or name in more):
            for node in _nodes(name, value):
                yield name, node


def _nodes(name: str, value: str) -> Iterable[str]:
    if len(value) > _LONGEST_HEADER:
        return [_UNREADABLE]
    elements = value.split(",")
    if name != FORWARDED:
        return elements
    found = [NODES.findall(element) for element in elements]
    if not any(found):
        return []
    # An element that names nobody is of a proxy that hides the client before it.
    return [node.strip('"') for nodes in found for node in nodes or [_UNREADABLE]]


def _is_what_a_client_said(peer: str, headers: Headers) -> bool:
    """Tell whether the server takes the peer's address from what any client says it is."""
    command = " ".join([*sys.argv, os.environ.get("GUNICORN_CMD_ARGS", "")])
    if SIGN_OF_PROXY_PROTOCOL in headers:
        return TAKES_PROXY_PROTOCOL_OF_EVERY_PEER.search(command) is not None
    said = headers.get("HTTP_X_FORWARDED_FOR")
    if said is None or read_address(peer) not in map(read_address, said.split(",")):
        return False
    trusted = ",".join(os.environ.get(name, "") for name in VARIABLES_OF_TRUST)
    written = f"{command} --forwarded-allow-ips {trusted.replace(' ', '')}"
    return TAKES_HEADERS_OF_EVERY_PEER.search(written) is not None


def _first(headers: Headers, beginnings: tuple[str, ...]) -> str | None:
    return next((name for name in headers if name.startswith(beginnings)), None)


def _is_of_browser(headers: Headers) -> bool:
    # A page can have its browser send an empty header, but not send none. Only a cookie that
    # is empty is none: Django's test client always has one.
    return bool(headers.get("HTTP_COOKIE")) or _first(headers, SIGNS_OF_BROWSERS) is not None


def _as_sent(name: str) -> str:
    return name[:_LONGEST_ADDRESS].removeprefix("HTTP_").replace("_", "-").title()


def _is_known_host(headers: Headers) -> bool:
    host = headers.get("HTTP_HOST")
    if host is None:
        return True
    domain, _ = split_domain_port(host)
    is_plain = bool(domain) and ("." not in domain or read_address(domain) is not None)
    return is_plain or validate_host(domain, allowed_hosts())


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


def _bearer(headers: Headers) -> str | None:
    # https://www.rfc-editor.org/rfc/rfc6750#section-2.1
    scheme, _, given = headers.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def _has_token(request: HttpRequest) -> bool:
    given = _bearer(request.META)
    if given is None:
        return False
    candidate = given.encode("utf-8", "surrogateescape")
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
        METRICS.count_error("access", error, "a file of `TOKENS`")
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
        METRICS.count_error("access", error, path)
        return False
