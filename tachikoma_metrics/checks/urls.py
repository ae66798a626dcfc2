"""Checks of the URLconf: the route of the metrics endpoint, and the number of all routes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from inspect import unwrap
from typing import Any

from django.core.checks import CheckMessage, register
from django.urls import ResolverMatch, get_resolver, resolve

from tachikoma_metrics import catalogue, conf, views
from tachikoma_metrics.checks.messages import warning
from tachikoma_metrics.checks.middleware import positions
from tachikoma_metrics.http.routes import path_labels
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.registry.shapes import Shape


@register
def check_path_shadows_no_view(**kwargs: Any) -> list[CheckMessage]:
    """W003: a view of the project has the path ``PATH``, which the middleware answers itself."""
    config = conf.config()
    if not config.enabled or config.path is None or not positions():
        return []
    try:
        match = resolve(config.path, conf.root_urlconf())
    except Exception:
        # No route, or a URLconf that cannot be imported, which Django reports.
        return []
    if match.func is views.metrics:
        return []
    return [
        warning(
            "W003",
            f"PATH, '{config.path}', is also a route of the URLconf ('{match.route}', "
            f"{match.view_name}): the middleware answers before that view. The paths must differ.",
            _hint_for(match),
        )
    ]


def _hint_for(match: ResolverMatch) -> str:
    if match.url_name == "prometheus-django-metrics":
        return _hint_for_django_prometheus()
    return (
        "Set PATH to another path, or to None to serve the metrics by the URLconf only. "
        'Example: "PATH": "/internal/metrics"'
    )


def _hint_for_django_prometheus() -> str:
    steps = "`manage.py metrics_migrate` lists all steps."
    if "django-prometheus" in conf.config().views:
        return (
            'Remove include("django_prometheus.urls") from the URLconf: the middleware serves the '
            f"metrics of django-prometheus, too, and the view once that is removed. {steps}"
        )
    return (
        "The middleware serves the metrics of django-prometheus, too. Before you remove it, "
        "enable the view that keeps their names, then remove "
        f'include("django_prometheus.urls") from the URLconf. {steps} '
        'Example: "VIEWS": ["django-prometheus"]'
    )


@register
def check_endpoint_has_a_route(**kwargs: Any) -> list[CheckMessage]:
    """W020: ``PATH`` is None, and neither the URLconf nor a Celery worker serves the metrics."""
    config = conf.config()
    if not config.enabled or config.path is not None or config.worker_port is not None:
        return []
    try:
        is_served = _serves_metrics(get_resolver(conf.root_urlconf()).url_patterns)
    except Exception:
        # The URLconf cannot be imported, which Django reports.
        return []
    if is_served:
        return []
    return [
        warning(
            "W020",
            "PATH is None, and the URLconf has no route to the metrics endpoint: nothing serves "
            "the metrics.",
            'Add path("metrics", include("tachikoma_metrics.urls")) to the URLconf, or set PATH. '
            'Example: "PATH": "/metrics"',
        )
    ]


def _serves_metrics(patterns: Iterable[Any]) -> bool:
    return any(
        _serves_metrics(pattern.url_patterns)
        if hasattr(pattern, "url_patterns")
        else unwrap(pattern.callback) is unwrap(views.metrics)
        for pattern in patterns
    )


@register
def check_routes_have_room(**kwargs: Any) -> list[CheckMessage]:
    """W014: the URLconf has more routes than ``CARDINALITY_LIMIT`` allows label sets."""
    config = conf.config()
    shown = [bound for bound in METRICS.all_bound() if bound.is_on and _has_path(bound.shape)]
    if not config.enabled or not shown or not positions():
        return []
    try:
        paths = len(path_labels(conf.root_urlconf()))
    except Exception:
        # A URLconf that cannot be imported, which Django reports.
        return []
    if paths < config.cardinality_limit:
        return []
    return [
        warning(
            "W014",
            f"The URLconf has {paths} routes, but CARDINALITY_LIMIT is "
            f"{config.cardinality_limit}: a process that has answered that many reports all "
            'others as path="overflow".',
            f'Set "CARDINALITY_LIMIT": {_room_for(paths)}, which leaves room for some methods and '
            "statuses of each route, or use LABELS to leave 'path' out of metrics.",
        )
    ]


def _has_path(shape: Shape) -> bool:
    return catalogue.PATH.name in shape.label_names


def _room_for(paths: int) -> int:
    """Return four times as many, rounded up to thousands."""
    return math.ceil(4 * paths / 1000) * 1000
