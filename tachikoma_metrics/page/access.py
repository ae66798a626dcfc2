"""Which requests may read the metrics endpoint.

A request has to satisfy ``ALLOWED_NETWORKS``, ``TOKENS`` and ``PERMISSION``, as far as they are
set. By default only private networks may read it. If a rule cannot be evaluated, the request is
rejected.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.module_loading import import_string

from tachikoma_metrics.conf import config
from tachikoma_metrics.page import bearer_tokens, networks, rejections
from tachikoma_metrics.page.addresses import is_in
from tachikoma_metrics.page.networks import ANYWHERE, Headers
from tachikoma_metrics.page.rejections import Rejection
from tachikoma_metrics.registry import METRICS


def rejection(request: HttpRequest) -> Rejection | None:
    """Return why ``request`` may not read the metrics; None if it may. Never raises."""
    try:
        rejected = _early_rejection(request.META)
        if rejected is not None:
            return rejected
        if config().tokens and not bearer_tokens.has_valid_token(request.META):
            return rejections.BY_TOKEN
        return None if _is_permitted(request) else rejections.BY_PERMISSION
    except Exception as error:
        METRICS.count_error("access", error)
        return rejections.BY_ERROR


def early_rejection(request: HttpRequest) -> Rejection | None:
    """Return what ``rejection`` would, without reading a file or calling ``PERMISSION``.

    It does not block, so an event loop may call it. Never raises.
    """
    try:
        return _early_rejection(request.META)
    except Exception as error:
        METRICS.count_error("access", error)
        return rejections.BY_ERROR


def peer_rejection(address: str) -> Rejection | None:
    """Return why no request of this peer may read the metrics; None if one may. Never raises."""
    try:
        allowed = config().allowed_networks
        if not config().is_access_valid:
            return rejections.BY_SETTINGS
        is_allowed = ANYWHERE in allowed or is_in(address, networks.allowed_networks(allowed))
        return None if is_allowed else rejections.BY_ADDRESS
    except Exception as error:
        METRICS.count_error("access", error)
        return rejections.BY_ERROR


def _early_rejection(headers: Headers) -> Rejection | None:
    settings = config()
    if not settings.is_access_valid:
        return rejections.BY_SETTINGS
    if ANYWHERE not in settings.allowed_networks:
        rejected = networks.network_rejection(headers, settings)
        if rejected is not None:
            return rejected
    is_missing = settings.tokens and bearer_tokens.presented_token(headers) is None
    return rejections.BY_TOKEN if is_missing else None


def _is_permitted(request: HttpRequest) -> bool:
    path = config().permission
    if path is None:
        return True
    try:
        return import_string(path)(request) is True
    except Exception as error:
        METRICS.count_error("access", error, path)
        return False
