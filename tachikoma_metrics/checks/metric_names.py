"""Checks of the metric names in settings, and of names that are taken."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from django.core.checks import CheckMessage, register

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue.definitions import Histogram
from tachikoma_metrics.checks.messages import error, example, warning
from tachikoma_metrics.registry import METRICS

HISTOGRAMS = tuple(n for n, family in catalogue.FAMILIES.items() if isinstance(family, Histogram))
LABELLED = tuple(n for n, family in catalogue.FAMILIES.items() if not family.is_own_health)
OPT_IN = tuple(name for name, family in catalogue.FAMILIES.items() if family.opt_in)


@register
def check_histogram_names(**kwargs: Any) -> list[CheckMessage]:
    """E003: ``BUCKETS`` has the name of a metric that is not a histogram, or of none."""
    return _invalid_names("E003", "BUCKETS", conf.config().buckets, HISTOGRAMS, _not_a_histogram)


def _not_a_histogram(name: str) -> str:
    kind = type(catalogue.FAMILIES[name]).__name__.lower()
    return f"'{name}' in BUCKETS is a {kind}, which has no buckets. It must be a histogram."


@register
def check_labelled_names(**kwargs: Any) -> list[CheckMessage]:
    """E008: ``LABELS`` has an unknown name, or that of a metric whose labels cannot be changed."""
    return _invalid_names("E008", "LABELS", conf.config().labels, LABELLED, _fixed_labels)


def _fixed_labels(name: str) -> str:
    return (
        f"The labels of '{name}' in LABELS cannot be changed. It must not be a metric about the "
        "instrumentation itself."
    )


@register
def check_opt_in_names(**kwargs: Any) -> list[CheckMessage]:
    """E009: ``EXTRA_METRICS`` lists an unknown metric, or one that is on by default."""
    named = conf.config().extra_metrics
    return _invalid_names("E009", "EXTRA_METRICS", named, OPT_IN, _on_already)


def _on_already(name: str) -> str:
    return f"'{name}' in EXTRA_METRICS is on by default. It must be an opt-in metric."


@register
def check_disabled_names(**kwargs: Any) -> list[CheckMessage]:
    """E010: ``DISABLED_METRICS`` lists an unknown metric."""
    named = conf.config().disabled_metrics
    return _invalid_names("E010", "DISABLED_METRICS", named, catalogue.FAMILIES)


@register
def check_native_histogram_names(**kwargs: Any) -> list[CheckMessage]:
    """E152: ``NATIVE_HISTOGRAMS`` lists a metric that is not a histogram."""
    return [
        error(
            "E152",
            f"'{name}' in NATIVE_HISTOGRAMS is a {type(family).__name__.lower()}. It must be a "
            "histogram.",
            f"Remove or correct it. {example('NATIVE_HISTOGRAMS')}",
        )
        for name in _named_native()
        if (family := catalogue.FAMILIES.get(name)) is not None and name not in HISTOGRAMS
    ]


@register
def check_native_histograms_exist(**kwargs: Any) -> list[CheckMessage]:
    """W151: no histogram in this process has a name that ``NATIVE_HISTOGRAMS`` lists."""
    return [
        warning(
            "W151",
            f"'{name}' in NATIVE_HISTOGRAMS is not the name of a histogram in this process. "
            f"{conf.did_you_mean(name, HISTOGRAMS)}",
            "Correct it, unless only another process makes that histogram, such as a Celery "
            f"worker. {example('NATIVE_HISTOGRAMS')}",
        )
        for name in _named_native()
        if name not in catalogue.FAMILIES and not METRICS.is_taken([name])
    ]


def _named_native() -> tuple[str, ...]:
    named = conf.config().native_histograms
    return () if isinstance(named, bool) else named


@register
def check_bucket_queries(**kwargs: Any) -> list[CheckMessage]:
    """W150: native histograms are on, and Prometheus may drop the series of classic buckets."""
    if not conf.config().native_histograms:
        return []
    return [
        warning(
            "W150",
            "NATIVE_HISTOGRAMS is set: a Prometheus that scrapes native histograms no longer "
            "stores their series `_bucket`, `_count` and `_sum`. Queries, rules and dashboards "
            "that use these series find nothing.",
            "Set `always_scrape_classic_histograms: true` in Prometheus' scrape configuration "
            "until these queries are replaced; `metrics_dashboard --native` and `metrics_rules "
            "--native` write queries of native histograms. Then silence this warning with "
            "SILENCED_SYSTEM_CHECKS.",
        )
    ]


def _invalid_names(
    id: str,
    key: str,
    names: Iterable[str],
    possible: Collection[str],
    not_possible: Callable[[str], str] = str,
) -> list[CheckMessage]:
    """Return an error for each name that is unknown, or known and ``not_possible`` here."""
    return [
        error(
            id,
            not_possible(name) if name in catalogue.FAMILIES else _unknown(name, key, possible),
            f"Remove or correct it. {example(key)}",
        )
        for name in names
        if name not in possible
    ]


def _unknown(name: str, key: str, possible: Collection[str]) -> str:
    return f"Unknown metric '{name}' in {key}. {conf.did_you_mean(name, possible)}"


@register
def check_names_are_free(**kwargs: Any) -> list[CheckMessage]:
    """W004: the project has a metric with the name of a built-in one."""
    return [
        warning(
            "W004",
            f"'{bound.shape.full_name}' is the name of a metric of the project, {owner!r}: the "
            "built-in metric of that name is omitted. The names must differ.",
            "Set NAMESPACE to have both, or add the built-in metric to DISABLED_METRICS. "
            f"{example('NAMESPACE')}",
        )
        for bound in METRICS.all_bound()
        if bound.is_on and (owner := METRICS.owner(bound)) is not None
    ]
