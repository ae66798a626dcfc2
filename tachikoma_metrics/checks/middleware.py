"""Checks that ``MetricsMiddleware`` is installed, first and once."""

from __future__ import annotations

import difflib
from typing import Any

from django.core.checks import CheckMessage, register
from django.utils.module_loading import import_string

from tachikoma_metrics import conf
from tachikoma_metrics.checks.callables import trouble_with
from tachikoma_metrics.checks.messages import warning
from tachikoma_metrics.middleware import MetricsMiddleware

MIDDLEWARE = "tachikoma_metrics.middleware.MetricsMiddleware"

_TRACING = "opentelemetry.instrumentation."
_EXAMPLE = f'Example: MIDDLEWARE = ["{MIDDLEWARE}", ...]'


@register
def check_middleware_is_installed(**kwargs: Any) -> list[CheckMessage]:
    """W001: ``MIDDLEWARE`` does not have ``MetricsMiddleware``."""
    if not conf.config().enabled or positions():
        return []
    similar = next(filter(_is_similar, conf.middleware()), None)
    trouble = "no MetricsMiddleware" if similar is None else _trouble_with(similar)
    remedy = "Put it" if similar is None else "Correct the path, and put it"
    return [
        warning(
            "W001",
            f"MIDDLEWARE has {trouble}: HTTP requests are not measured, and only the URLconf can "
            "serve the metrics endpoint.",
            f"{remedy} first. {_EXAMPLE}",
        )
    ]


def _is_similar(dotted_path: str) -> bool:
    is_near = difflib.get_close_matches(dotted_path, [MIDDLEWARE], cutoff=0.8)
    return bool(is_near) or "tachikoma_metrics" in dotted_path.replace("-", "_")


def _trouble_with(dotted_path: str) -> str:
    return f"{dotted_path!r}, which {trouble_with(dotted_path) or 'is not MetricsMiddleware'}"


@register
def check_middleware_is_first(**kwargs: Any) -> list[CheckMessage]:
    """W002: ``MetricsMiddleware`` is not first.

    It does not observe requests that an earlier middleware answers. OpenTelemetry's middleware may
    come first, as it answers none.
    """
    found = positions()
    before = conf.middleware()[: found[0] - 1] if found else ()
    if not conf.config().enabled or all(path.startswith(_TRACING) for path in before):
        return []
    return [
        warning(
            "W002",
            f"MetricsMiddleware is number {found[0]} in MIDDLEWARE: requests answered by those "
            "before it are not measured. It must be first.",
            f"Move it. {_EXAMPLE}",
        )
    ]


@register
def check_middleware_is_installed_once(**kwargs: Any) -> list[CheckMessage]:
    """W006: ``MetricsMiddleware`` is in ``MIDDLEWARE`` more than once."""
    found = positions()
    if not conf.config().enabled or len(found) < 2:
        return []
    return [
        warning(
            "W006",
            f"MetricsMiddleware is in MIDDLEWARE {len(found)} times: each request is counted "
            f"{len(found)} times. It must be there once.",
            f"Keep the first. {_EXAMPLE}",
        )
    ]


def positions() -> list[int]:
    """Return the positions of ``MetricsMiddleware`` in ``MIDDLEWARE``, counted from 1."""
    return [place for place, path in enumerate(conf.middleware(), 1) if _is_metrics(path)]


def _is_metrics(dotted_path: str) -> bool:
    if dotted_path == MIDDLEWARE:
        return True
    try:
        imported = import_string(dotted_path)
    except Exception:
        # Django itself reports what is wrong with it, once it loads it.
        return False
    return isinstance(imported, type) and issubclass(imported, MetricsMiddleware)
