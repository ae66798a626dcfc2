"""What the views of ``VIEWS`` take from the settings of the project and of other packages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db.utils import load_backend

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Buckets
from tachikoma_metrics.catalogue.views import (
    CACHE_BACKEND,
    DATABASE_SYSTEM,
    DATABASE_VENDOR,
    VIEWS,
    DerivedLabel,
    DerivedMetric,
    View,
)
from tachikoma_metrics.conf.validators import NAMESPACE, InvalidValue, read_buckets
from tachikoma_metrics.interruptions import pass_on

_SYSTEMS = {"oracle": "oracle.db", "microsoft": "microsoft.sql_server"}
"""Databases that OpenTelemetry names otherwise than Django does.

https://opentelemetry.io/docs/specs/semconv/registry/attributes/db/#db-system-name
"""

_CACHE_BACKENDS = {
    "django.core.cache.backends.redis": "native_redis",
    "django_prometheus.cache.backends.redis.RedisCache": "redis",
    "django_prometheus.cache.backends.redis.NativeRedisCache": "native_redis",
    "django_redis.cache": "redis",
}
"""Cache backends that django-prometheus names otherwise than their module."""


def derived_metrics(
    names: Iterable[str], project_labels: Mapping[str, tuple[str, ...]]
) -> tuple[DerivedMetric, ...]:
    """Return the metrics of views, under the names and with the buckets that settings give them.

    They have the ``project_labels`` of their sources, by the name of the source. Those whose
    sources the catalogue does not have are left out.
    """
    return tuple(
        _with_labels(metric, project_labels)
        for name in names
        for metric in _metrics_of(VIEWS[name])
        if all(source in catalogue.FAMILIES for source in metric.sources)
    )


def needed_labels(metrics: Iterable[DerivedMetric]) -> Mapping[str, tuple[str, ...]]:
    """Return the labels that derived metrics need, by the name of the metric that needs them."""
    needed: dict[str, dict[str, None]] = {}
    for metric in metrics:
        for source in metric.sources:
            possible = catalogue.FAMILIES[source].allowed_label_names
            wanted = (label for label in metric.needed_labels if label in possible)
            needed.setdefault(source, {}).update(dict.fromkeys(wanted))
    return {source: tuple(labels) for source, labels in needed.items()}


def needed_buckets(metrics: Iterable[DerivedMetric]) -> Mapping[str, Buckets]:
    """Return the bounds that derived metrics need, by the name of the metric that needs them."""
    needed: dict[str, Buckets] = {}
    for metric in metrics:
        for source in metric.sources:
            needed[source] = needed.get(source, ()) + metric.buckets
    return needed


def django_prometheus_namespace() -> str:
    """Return the prefix that django-prometheus puts before the names of its metrics."""
    return _namespace(VIEWS["django-prometheus"])


def look_up(kind: str, alias: str) -> str:
    """Return what the settings have for an alias; the alias itself if they do not have it."""
    try:
        return _LOOK_UPS[kind](alias)
    except Exception as error:
        pass_on(error)
        # A database or cache of an older release, whose values are still exposed.
        return alias


def _vendor(alias: str) -> str:
    engine = load_backend(str(settings.DATABASES[alias]["ENGINE"]))
    return str(engine.DatabaseWrapper.vendor)


def _system(alias: str) -> str:
    vendor = _vendor(alias)
    return _SYSTEMS.get(vendor, vendor)


def _cache_backend(alias: str) -> str:
    path = str(settings.CACHES[alias]["BACKEND"])
    module = path.rpartition(".")[0]
    known = _CACHE_BACKENDS.get(path) or _CACHE_BACKENDS.get(module)
    return known or module.rpartition(".")[2]


_LOOK_UPS = {
    DATABASE_VENDOR: _vendor,
    DATABASE_SYSTEM: _system,
    CACHE_BACKEND: _cache_backend,
}


def _metrics_of(view: View) -> Iterator[DerivedMetric]:
    namespace = _namespace(view)
    prefix = f"{namespace}_" if namespace else ""
    buckets = _buckets(view)
    for metric in view.metrics:
        is_configured = bool(metric.buckets) and metric.buckets == view.default_buckets
        yield replace(
            metric,
            name=prefix + metric.name,
            buckets=buckets if is_configured else metric.buckets,
        )


def _with_labels(
    metric: DerivedMetric, project_labels: Mapping[str, tuple[str, ...]]
) -> DerivedMetric:
    """Return the metric with the labels that the project has added to all of its sources."""
    first, *others = [project_labels.get(source, ()) for source in metric.sources] or [()]
    added = [
        DerivedLabel(label)
        for label in first
        if label not in metric.label_names and all(label in other for other in others)
    ]
    return replace(metric, labels=(*metric.labels, *added)) if added else metric


def _namespace(view: View) -> str:
    return str(_setting(view.namespace_setting, NAMESPACE.read, ""))


def _buckets(view: View) -> Buckets:
    return tuple(_setting(view.bucket_setting, _finite_buckets, view.default_buckets))


def _finite_buckets(value: Any) -> Buckets:
    return read_buckets([bound for bound in value if bound != math.inf])


def _setting(name: str, read: Any, default: Any) -> Any:
    """Return the value of another package's setting; the default if it is invalid."""
    try:
        return read(getattr(settings, name)) if name and hasattr(settings, name) else default
    except (InvalidValue, TypeError):
        return default
