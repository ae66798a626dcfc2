"""The rule of ``ALLOWED_NETWORKS``: the peer and each forwarded address must be in one of them.

An address that a header names can only deny access, never grant it. Where nothing but networks
decides, a request is rejected as well if it shows that its peer is not its client: a proxy
names none, a server removes what a proxy named, or a browser sent a ``Host`` that is not in
``ALLOWED_HOSTS``, as with DNS rebinding.

At a Unix socket there is no peer address. There a header grants access, if
``ALLOWED_NETWORKS`` says that the proxy sets it.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from django.http.request import split_domain_port, validate_host

from tachikoma_metrics.conf import Config, allowed_hosts
from tachikoma_metrics.conf.validators import AT_UNIX_SOCKET
from tachikoma_metrics.page import rejections
from tachikoma_metrics.page.addresses import (
    MAX_ADDRESS_LENGTH,
    PRIVATE_NETWORKS,
    Network,
    is_in,
    read_address,
)
from tachikoma_metrics.page.forwarding import (
    BROWSER_HEADER_PREFIXES,
    CLIENT_ADDRESS_SUFFIXES,
    FORWARDED,
    FORWARDED_FOR,
    PROXY_HEADER_PREFIXES,
    PROXY_PROTOCOL_KEY,
    TRUST_VARIABLES,
    TRUSTS_HEADERS_OF_ALL_PEERS,
    TRUSTS_PROXY_PROTOCOL_OF_ALL_PEERS,
    WAITRESS_KEY,
)
from tachikoma_metrics.page.rejections import Rejection

Headers = Mapping[str, Any]
"""``request.META``."""

ANYWHERE = "*"
PRIVATE = "private"

_MAX_HEADER_LENGTH = 2048
_MAX_ADDRESSES = 32
"""More than any chain of proxies has: rejecting a request has to stay cheap."""
_UNREADABLE = ""
_UWSGI_UNIX_SOCKET = "0.0.0.0"  # noqa: S104  # What uWSGI has as the peer at a Unix socket.


def network_rejection(headers: Headers, settings: Config) -> Rejection | None:
    """Return why ``ALLOWED_NETWORKS`` rejects a request; None if it does not."""
    allowed = allowed_networks(settings.allowed_networks)
    peer = _peer(headers)
    if peer and not is_in(peer, allowed):
        return rejections.BY_ADDRESS
    at_socket = () if peer else _headers_at_socket(settings.allowed_networks)
    naming: set[str] = set()
    for count, (name, node) in enumerate(_forwarded(headers, at_socket), 1):
        if count > _MAX_ADDRESSES or not is_in(node, allowed):
            about = f", forwarded for {node[:MAX_ADDRESS_LENGTH]!r}"
            return replace(rejections.BY_ADDRESS, about=about)
        naming.add(name)
    if not peer and naming.isdisjoint(at_socket):
        return rejections.BY_UNIX_SOCKET
    if settings.tokens or settings.permission is not None:
        return None
    return _rejection_by_networks_alone(headers, peer, naming)


def _rejection_by_networks_alone(headers: Headers, peer: str, naming: set[str]) -> Rejection | None:
    """Return why a request from an allowed network is rejected where nothing else decides."""
    if WAITRESS_KEY in headers or "waitress" in headers.get("SERVER_SOFTWARE", ""):
        return rejections.BY_WAITRESS
    if peer and _may_be_spoofed(peer, headers):
        return rejections.BY_TRUSTING_SERVER
    sign = None if naming else _first(headers, PROXY_HEADER_PREFIXES)
    if sign is not None:
        reason = rejections.BY_PROXY.reason.format(header=_as_sent(sign))
        return replace(rejections.BY_PROXY, reason=reason)
    is_foreign = _is_from_browser(headers) and not _is_known_host(headers)
    return rejections.BY_BROWSER if is_foreign else None


@lru_cache(16)
def allowed_networks(entries: tuple[str, ...]) -> tuple[Network, ...]:
    """Return the networks that ``ALLOWED_NETWORKS`` names."""
    named = [network for network in entries if not network.startswith(AT_UNIX_SOCKET)]
    if entries and not named:
        named = [PRIVATE]
    found: list[Network] = []
    for network in named:
        found += PRIVATE_NETWORKS if network == PRIVATE else [ipaddress.ip_network(network)]
    return tuple(found)


@lru_cache(16)
def _headers_at_socket(entries: tuple[str, ...]) -> tuple[str, ...]:
    named = (entry for entry in entries if entry.startswith(AT_UNIX_SOCKET))
    names = (entry.removeprefix(AT_UNIX_SOCKET) for entry in named)
    return tuple(f"HTTP_{name.upper().replace('-', '_')}" for name in names)


def _peer(headers: Headers) -> str:
    """Return the peer's address; an empty one at a Unix socket."""
    # At a Unix socket uvicorn puts the socket's path here, and may put what a header says in
    # REMOTE_ADDR.
    if str(headers.get("SERVER_NAME", "")).startswith("/"):
        return ""
    peer = headers.get("REMOTE_ADDR") or ""
    return "" if peer == _UWSGI_UNIX_SOCKET else peer


def _forwarded(headers: Headers, more: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield each client address that a header forwards, with the header."""
    for name, value in headers.items():
        if name.startswith("HTTP_") and (name.endswith(CLIENT_ADDRESS_SUFFIXES) or name in more):
            for node in _nodes(name, value):
                yield name, node


def _nodes(name: str, value: str) -> Iterable[str]:
    if len(value) > _MAX_HEADER_LENGTH:
        return [_UNREADABLE]
    elements = value.split(",")
    if name != FORWARDED:
        return elements
    found = [FORWARDED_FOR.findall(element) for element in elements]
    if not any(found):
        return []
    # An element without an address is from a proxy that hides its client.
    return [node.strip('"') for nodes in found for node in nodes or [_UNREADABLE]]


def _may_be_spoofed(peer: str, headers: Headers) -> bool:
    """Return whether the server may have the peer's address from a header of any client."""
    command = " ".join([*sys.argv, os.environ.get("GUNICORN_CMD_ARGS", "")])
    if PROXY_PROTOCOL_KEY in headers:
        return TRUSTS_PROXY_PROTOCOL_OF_ALL_PEERS.search(command) is not None
    said = headers.get("HTTP_X_FORWARDED_FOR")
    if said is None or read_address(peer) not in map(read_address, said.split(",")):
        return False
    trusted = ",".join(os.environ.get(name, "") for name in TRUST_VARIABLES)
    written = f"{command} --forwarded-allow-ips {trusted.replace(' ', '')}"
    return TRUSTS_HEADERS_OF_ALL_PEERS.search(written) is not None


def _first(headers: Headers, prefixes: tuple[str, ...]) -> str | None:
    return next((name for name in headers if name.startswith(prefixes)), None)


def _is_from_browser(headers: Headers) -> bool:
    # A web page can make its browser send an empty header, but cannot suppress it. An empty
    # cookie does not count: Django's test client always sends one.
    return bool(headers.get("HTTP_COOKIE")) or _first(headers, BROWSER_HEADER_PREFIXES) is not None


def _as_sent(name: str) -> str:
    return name[:MAX_ADDRESS_LENGTH].removeprefix("HTTP_").replace("_", "-").title()


def _is_known_host(headers: Headers) -> bool:
    host = headers.get("HTTP_HOST")
    if host is None:
        return True
    domain, _ = split_domain_port(host)
    is_plain = bool(domain) and ("." not in domain or read_address(domain) is not None)
    return is_plain or validate_host(domain, allowed_hosts())
