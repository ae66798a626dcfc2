"""The rule for the networks that may read the metrics."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from tachikoma_metrics.conf.validators.rule import InvalidValue, Rule, require
from tachikoma_metrics.conf.validators.values import strings

AT_UNIX_SOCKET = "unix:"
"""Begins an entry of ``ALLOWED_NETWORKS`` that names the header of a proxy."""

# https://www.rfc-editor.org/rfc/rfc9110#name-field-names, without the underscore, as servers
# drop headers that have one.
_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


def _networks(value: Any) -> tuple[str, ...]:
    networks = strings(value)
    for place, network in enumerate(networks):
        if network.startswith(AT_UNIX_SOCKET):
            require(_HEADER.fullmatch(network.removeprefix(AT_UNIX_SOCKET)) is not None)
        elif network not in ("private", "*"):
            _network(place, network)
    return networks


def _network(place: int, text: str) -> None:
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        must_be = '"private", "*" or a network in CIDR notation'
        raise InvalidValue(place, expectation=must_be, got=text, hint=_hint_for(text)) from error


def _hint_for(text: str) -> str:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return ""
    return f'The host bits must be zero. Write "{network}".'


NETWORKS = Rule(
    'a list of "private", "*", networks in CIDR notation and "unix:" with the name of a header',
    "The host bits of a network must be zero. Behind a Unix socket, write "
    '["unix:X-Forwarded-For"].',
    _networks,
)
