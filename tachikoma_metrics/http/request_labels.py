"""Functions that read label values and ``Content-Length`` from a request."""

from __future__ import annotations

from functools import lru_cache

from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.http import HttpRequest
from django.utils.module_loading import import_string

from tachikoma_metrics.catalogue.labels import STATIC, UNMATCHED, method_name
from tachikoma_metrics.conf import config, file_prefixes, has_proxy_ssl_header, root_urlconf
from tachikoma_metrics.recording.events import STATIC_ROUTE, HttpFacts
from tachikoma_metrics.registry import METRICS, UNKNOWN

NOT_MODIFIED = 304
NO_SCHEME = ("",)
"""In place of the scheme and the values of ``EXTRA_LABELS``, if no metric has such a label."""

MAX_DIGITS = 18
"""Longer lengths are not cached: a client may send any number of zeros."""


def unmatched_route(request: HttpRequest, status: int) -> tuple[str | None, str]:
    """Return the route and the view name of a request that no URL pattern matched.

    A successful response below the URL of static or media files is a file that a middleware
    served.
    """
    if 200 <= status < 300 or status == NOT_MODIFIED:
        prefixes = file_prefixes()
        if request.path_info.startswith(prefixes) or request.path.startswith(prefixes):
            return STATIC_ROUTE, STATIC
    return None, UNMATCHED


def facts_without_request(method: str | None, status: int) -> HttpFacts:
    """Return the facts of a request that cannot be read."""
    return method_name(method), None, status, UNMATCHED, "", NO_SCHEME


def scheme_and_extra_labels(request: HttpRequest) -> tuple[str, ...]:
    """Return the scheme, and the values of the ``EXTRA_LABELS`` that a metric has."""
    scheme = (
        request.scheme
        if has_proxy_ssl_header()
        # What request.scheme returns then, without reading the setting.
        else request._get_scheme()  # type: ignore[attr-defined]  # Django's.
    ) or ""
    labels = config().request_labels
    if not labels:
        return (scheme,)
    return (scheme, *(_extra_label(path, request) for path in labels.values()))


def _extra_label(dotted_path: str, request: HttpRequest) -> str:
    try:
        value = import_string(dotted_path)(request)
        return "" if value is None else str(value)
    except Exception as error:
        METRICS.count_error("extra_label", error, dotted_path)
        return ""


def language_prefix(request: HttpRequest) -> str:
    """Return the language in the URL of a request; "" if ``i18n_patterns`` is not used."""
    language = getattr(request, "LANGUAGE_CODE", "")
    if not language:
        return ""
    is_used, _ = is_language_prefix_patterns_used(getattr(request, "urlconf", root_urlconf()))
    return language if is_used else ""


def content_length(header: str) -> float:
    """Return the length a ``Content-Length`` header gives, or ``UNKNOWN``.

    Only ASCII digits are a length: Python's ``int`` also accepts signs, underscores and the
    digits of other scripts. https://www.rfc-editor.org/rfc/rfc9110#name-content-length
    """
    is_length = len(header) <= MAX_DIGITS and header.isascii() and header.isdigit()
    return float(header) if is_length else UNKNOWN


cached_content_length = lru_cache(1024)(content_length)
