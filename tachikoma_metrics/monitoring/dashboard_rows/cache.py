"""The row of cache lookups."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import (
    THIRD,
    Panel,
    Query,
    Row,
    quantile,
    rate,
    rate_above_zero,
)

CACHE = Row(
    "Cache",
    (
        Panel(
            "Cache hit ratio",
            "Ratio of lookups that found their key. It drops when a deployment changes keys.",
            (
                Query(
                    "sum(rate(cache_hits_total[$__rate_interval])) / "
                    "(sum(rate(cache_hits_total[$__rate_interval])) "
                    "+ sum(rate(cache_misses_total[$__rate_interval])))",
                    "hits",
                ),
            ),
            "percentunit",
            width=THIRD,
            max=1,
        ),
        Panel(
            "Cache lookups",
            "Keys looked up per second.",
            (
                *rate("cache_hits_total", legend="hits"),
                *rate("cache_misses_total", legend="misses"),
            ),
            "ops",
            width=THIRD,
            is_stacked=True,
        ),
        Panel(
            "Cache entries",
            "For backends that report them, by instance.",
            (Query("max by (instance) (cache_size)", "{{instance}}"),),
            width=THIRD,
        ),
        Panel(
            "Failed cache operations",
            "Exceptions of the backend: the server does not answer, or a value cannot be stored. "
            "django-redis with IGNORE_EXCEPTIONS raises none.",
            rate_above_zero("cache_errors_total", "operation", "{{operation}}"),
            "ops",
            is_stacked=True,
        ),
        Panel(
            "Cache operations",
            "Calls of the cache's methods, including failed ones.",
            rate("cache_operations_total", "operation", "{{operation}}"),
            "ops",
            is_stacked=True,
        ),
        Panel(
            "p95 duration by cache operation",
            "Until the cache responded. That of get_or_set includes computing the value.",
            (quantile(0.95, "cache_operation_duration_seconds", "operation", "{{operation}}"),),
            "s",
        ),
    ),
)
