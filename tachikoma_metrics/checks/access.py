"""Checks of the settings that restrict access: networks, tokens and the permission."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import collapse_addresses, ip_network
from typing import Any

from django.core.checks import CheckMessage, Tags, register

from tachikoma_metrics import conf
from tachikoma_metrics.checks.callables import trouble_with_request_to
from tachikoma_metrics.checks.messages import error, example, warning
from tachikoma_metrics.conf import Config
from tachikoma_metrics.conf.validators import AT_UNIX_SOCKET
from tachikoma_metrics.page import bearer_tokens

_MAKE_A_TOKEN = "Generate one. Example: python -c 'import secrets; print(secrets.token_urlsafe())'"  # noqa: S105

_SHORTEST_TOKEN = 16

_LARGEST_PREFIX_OF_ALL = 3
"""A network of so few bits is an eighth of all addresses, or more."""


@register
def check_permission(**kwargs: Any) -> list[CheckMessage]:
    """E013: the path in ``PERMISSION`` does not lead to a plain function of the request."""
    path = conf.config().permission
    trouble = "" if path is None else trouble_with_request_to(path)
    if not trouble:
        return []
    return [
        error(
            "E013",
            f"'{path}' in PERMISSION {trouble}. It must be the dotted path of a function that "
            "takes the request and returns True or False.",
            f"Write a function such as def may_read(request). {example('PERMISSION')}",
        )
    ]


@register(Tags.security, deploy=True)
def check_endpoint_is_not_open(**kwargs: Any) -> list[CheckMessage]:
    """W012: ``ALLOWED_NETWORKS`` admits every address, and no token is required."""
    if not is_open(conf.config()):
        return []
    return [
        warning(
            "W012",
            "ALLOWED_NETWORKS admits every address: all clients that reach the service can read "
            "its metrics. It must name smaller networks, or TOKENS must be set.",
            f"Name networks, or set TOKENS. {example('ALLOWED_NETWORKS')}",
        )
    ]


def is_open(config: Config) -> bool:
    """Return whether any client may read the metrics: by network alone, from all networks."""
    if not config.enabled or config.tokens or config.permission is not None:
        return False
    if "*" in config.allowed_networks:
        return True
    words = ("private", AT_UNIX_SOCKET)
    named = [ip_network(one) for one in config.allowed_networks if not one.startswith(words)]
    by_version = [[one for one in named if one.version == version] for version in (4, 6)]
    together: list[Any] = [one for nets in by_version for one in collapse_addresses(nets)]  # type: ignore[type-var]
    return any(one.prefixlen <= _LARGEST_PREFIX_OF_ALL for one in together)


@register(Tags.security, deploy=True)
def check_tokens_are_long(**kwargs: Any) -> list[CheckMessage]:
    """W013: a token is short enough to be guessed."""
    tokens = bearer_tokens.readable(conf.config())
    short = [one for one in tokens if len(one) < _SHORTEST_TOKEN]
    if not short:
        return []
    return [
        warning(
            "W013",
            f"Short token in TOKENS ({len(short)} of {len(tokens)}), which can be guessed. A token "
            f"must have at least {_SHORTEST_TOKEN} characters.",
            _MAKE_A_TOKEN,
        )
    ]


@register(Tags.security)
def check_token_files(**kwargs: Any) -> list[CheckMessage]:
    """W021: a file in ``TOKENS`` cannot be read, has no token, or lacks ``file:``."""
    return [
        warning(
            "W021",
            f"No token can be read from a file in TOKENS: {why}. Clients that send its tokens get "
            "401.",
            "Make the file readable for the user that the service runs as, with one token per "
            f"line. {example('TOKENS')}",
        )
        for why in bearer_tokens.unreadable(conf.config())
    ]


@register(Tags.security)
def check_tokens_can_be_sent(**kwargs: Any) -> list[CheckMessage]:
    """W022: a token has characters that a header cannot carry, such as spaces."""
    config = conf.config()
    number = bearer_tokens.unsendable(config)
    if not number:
        return []
    tokens = bearer_tokens.readable(config)
    return [
        warning(
            "W022",
            f"Token in TOKENS that no client can send ({number} of {len(tokens)}): it is rejected "
            "(401). A token must be printable ASCII without spaces.",
            _hint_for(tokens),
        )
    ]


def _hint_for(tokens: Iterable[str]) -> str:
    if any(token.lower().startswith("bearer ") for token in tokens):
        return 'Remove "Bearer" from the token: it is not part of it, only of the header.'
    return _MAKE_A_TOKEN
