"""What the settings make of a metric of the catalogue: its name, labels and buckets."""

from __future__ import annotations

from dataclasses import dataclass

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Family, Gauge, Histogram
from tachikoma_metrics.conf import Config
from tachikoma_metrics.registry import native_buckets
from tachikoma_metrics.store import Native

_COUNTED_QUERIES = (catalogue.HTTP_REQUEST_DB_QUERIES, catalogue.HTTP_REQUEST_DB)


@dataclass(frozen=True)
class Shape:
    """Hold the name, labels and buckets that the settings give a metric.

    A metric of another shape is another metric. ``hidden_labels`` and ``hidden_buckets`` are
    stored, and not exposed: views need them.
    """

    full_name: str
    label_names: tuple[str, ...]
    buckets: tuple[float, ...]
    hidden_labels: tuple[str, ...] = ()
    hidden_buckets: tuple[float, ...] = ()
    native: Native | None = None

    @property
    def stored_labels(self) -> tuple[str, ...]:
        """Return the names of all labels of the values in the store."""
        return self.label_names + self.hidden_labels

    @property
    def stored_buckets(self) -> tuple[float, ...]:
        """Return the upper bounds of all buckets in the store."""
        return tuple(sorted({*self.buckets, *self.hidden_buckets}))


def shape_of(family: Family, config: Config) -> Shape:
    """Return the name, labels and buckets that the settings give ``family``."""
    labels, buckets = _label_names(family, config), _buckets(family, config)
    needed, bounds = config.labels_for_views, config.buckets_for_views
    return Shape(
        _full_name(family, config),
        labels,
        buckets,
        tuple(name for name in needed.get(family.name, ()) if name not in labels),
        tuple(sorted(set(bounds.get(family.name, ())) - set(buckets))),
        native_buckets.of_catalogue(family, config) if isinstance(family, Histogram) else None,
    )


def is_on(family: Family, config: Config) -> bool:
    """Return whether the settings switch ``family`` on."""
    switched_on = not family.opt_in or family.name in config.extra_metrics
    is_unknown = family in _COUNTED_QUERIES and config.instrument_databases is False
    is_off = is_unknown or family.name in config.disabled_metrics
    return config.enabled and switched_on and not is_off


def name_of_lost(family: Family, config: Config) -> str:
    """Return the name of the counter of what a gauge loses with its process; "" without one."""
    lost = family.lost if isinstance(family, Gauge) else None
    return "" if lost is None else _full_name(lost, config)


def possible_labels(family: Family, config: Config) -> tuple[str, ...]:
    """Return the names of all labels ``LABELS`` may give to ``family``."""
    if family.name not in catalogue.RECORDED_BY_REQUESTS:
        return family.allowed_label_names
    return (*family.allowed_label_names, *config.extra_labels)


def _full_name(family: Family, config: Config) -> str:
    if not config.namespace or family.is_own_health:
        return family.name
    return f"{config.namespace}_{family.name}"


def _label_names(family: Family, config: Config) -> tuple[str, ...]:
    if family.name not in config.labels or family.is_own_health:
        return family.label_names
    possible = possible_labels(family, config)
    return tuple(name for name in config.labels[family.name] if name in possible)


def _buckets(family: Family, config: Config) -> tuple[float, ...]:
    if not isinstance(family, Histogram):
        return ()
    default = family.buckets
    if family.bucket_setting is not None:
        default = getattr(config, family.bucket_setting.lower())
    return tuple(config.buckets.get(family.name, default))
