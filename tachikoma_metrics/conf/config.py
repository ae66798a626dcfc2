"""The configuration: what ``TACHIKOMA_METRICS`` declares, and what follows from it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Buckets, Family
from tachikoma_metrics.catalogue.views import DerivedMetric
from tachikoma_metrics.conf import views
from tachikoma_metrics.conf.declarations import Declarations
from tachikoma_metrics.conf.invalid import InvalidSetting
from tachikoma_metrics.conf.setting import Setting


@dataclass(frozen=True)
class Config(Declarations):
    """Hold the value of every setting, and answer questions about several of them."""

    invalid_settings: tuple[InvalidSetting, ...] = ()

    @cached_property
    def global_label_names(self) -> frozenset[str]:
        """Return the names of the global labels."""
        return frozenset(name for name, _ in self.global_labels)

    @cached_property
    def request_labels(self) -> Mapping[str, str]:
        """Return those of ``extra_labels`` that an HTTP metric has."""
        wanted = {
            label
            for family in catalogue.RECORDED_BY_REQUESTS
            for label in self.labels.get(family, ())
        }
        return {label: path for label, path in self.extra_labels.items() if label in wanted}

    def excludes(self, path: str) -> bool:
        """Return whether requests to ``path`` are not measured."""
        return any(pattern.search(path) for pattern in self.exclude_paths)

    @cached_property
    def is_access_valid(self) -> bool:
        """Return whether all settings that restrict access are valid."""
        return not any(setting.denies_access for setting in self.invalid_settings)

    @cached_property
    def derived_metrics(self) -> tuple[DerivedMetric, ...]:
        """Return the metrics of all ``views``."""
        return views.derived_metrics(self.views, self.project_labels)

    @cached_property
    def project_labels(self) -> Mapping[str, tuple[str, ...]]:
        """Return those of ``extra_labels`` that each HTTP metric has, by its name."""
        return {
            family: tuple(label for label in self.labels[family] if label in self.extra_labels)
            for family in catalogue.RECORDED_BY_REQUESTS
            if family in self.labels
        }

    @cached_property
    def labels_for_views(self) -> Mapping[str, tuple[str, ...]]:
        """Return the labels that metrics have for the ``views``, besides those they expose."""
        return views.needed_labels(self.derived_metrics)

    @cached_property
    def buckets_for_views(self) -> Mapping[str, Buckets]:
        """Return the bounds that histograms have for the ``views``, besides their own."""
        return views.needed_buckets(self.derived_metrics)

    @property
    def business_lifetime(self) -> float:
        """Return the seconds for which business metrics may be shown."""
        return self.business_max_age or 10 * self.business_interval

    def instruments_database(self, alias: str) -> bool:
        """Return whether the queries and connections of a database are measured."""
        return self.enabled and _includes(self.instrument_databases, alias)

    def instruments_cache(self, alias: str) -> bool:
        """Return whether the lookups in a cache, and its size, are measured."""
        return self.enabled and _includes(self.instrument_caches, alias)

    def is_native(self, histogram: str) -> bool:
        """Return whether a histogram counts in native buckets as well."""
        return self.enabled and _includes(self.native_histograms, histogram)

    def measures_tasks_of(self, system: str) -> bool:
        """Return whether tasks of ``celery`` or ``django`` are measured."""
        return self.enabled and _includes(self.tasks, system)

    @cached_property
    def measures_celery(self) -> bool:
        """Return whether tasks of Celery are measured; it is asked for each task."""
        return self.measures_tasks_of("celery")

    def measures_command(self, name: str) -> bool:
        """Return whether runs of a management command are measured: the last pattern decides."""
        is_measured = False
        for pattern in self.commands:
            if fnmatchcase(name, pattern.removeprefix("!")):
                is_measured = not pattern.startswith("!")
        return self.enabled and is_measured

    @property
    def measures_queue_lengths(self) -> bool:
        """Return whether a refresh asks Celery's broker for the lengths of its queues."""
        return self.measures_celery and "task_queue_length" in self.extra_metrics

    @property
    def has_business_metrics(self) -> bool:
        """Return whether there is something for a refresh to count."""
        return bool(self.business_metrics) or self.measures_queue_lengths

    @cached_property
    def counts_queries(self) -> bool:
        """Return whether the queries of each request, or their duration, are recorded."""
        families = (catalogue.HTTP_REQUEST_DB_QUERIES, catalogue.HTTP_REQUEST_DB)
        is_wanted = any(family.name in self.extra_metrics for family in families)
        return is_wanted and self.instrument_databases is not False

    @cached_property
    def measures_arrival(self) -> bool:
        """Return whether a metric is recorded when a request arrives, before it is handled."""
        return self.is_extra(catalogue.HTTP_REQUEST_QUEUE, catalogue.ASGI_EVENT_LOOP_LAG)

    @cached_property
    def measures_more(self) -> bool:
        """Return whether a request is measured in more than the usual way."""
        return self.measures_arrival or self.exemplars is not None

    def is_extra(self, *families: Family) -> bool:
        """Return whether any of these opt-in metrics is on."""
        return self.enabled and any(
            family.name in self.extra_metrics and family.name not in self.disabled_metrics
            for family in families
        )

    @cached_property
    def counts_rows(self) -> bool:
        """Return whether the rows that statements change are counted."""
        return self.is_extra(catalogue.DB_ROWS)

    @cached_property
    def records_more_of_queries(self) -> bool:
        """Return whether anything else is recorded of a query than that it was made."""
        return self.counts_queries or self.counts_rows

    @property
    def counts_templates(self) -> bool:
        """Return whether responses are counted by template."""
        return self.is_extra(catalogue.HTTP_RESPONSES_BY_TEMPLATE)

    @cached_property
    def times_caches(self) -> bool:
        """Return whether the operations of caches, or their duration, are recorded."""
        return self.is_extra(catalogue.CACHE_OPERATIONS, catalogue.CACHE_OPERATION_DURATION)

    @cached_property
    def asks_requests(self) -> bool:
        """Return whether a metric has a label that has to be computed from the request."""
        shown = {
            name
            for family in catalogue.RECORDED_BY_REQUESTS
            for name in (*self.labels.get(family, ()), *self.labels_for_views.get(family, ()))
        }
        return "scheme" in shown or bool(self.request_labels)


def _includes(wanted: bool | tuple[str, ...], alias: str) -> bool:
    return wanted if isinstance(wanted, bool) else alias in wanted


SETTINGS: dict[str, Setting] = {
    field.name.upper(): Setting(key=field.name.upper(), **field.metadata)
    for field in dataclasses.fields(Declarations)
}
"""Every key of ``TACHIKOMA_METRICS``, in the order of the reference."""
