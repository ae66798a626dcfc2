"""Metrics of cache lookups and cache sizes."""

from __future__ import annotations

from tachikoma_metrics.catalogue.definitions import Buckets, Counter, Gauge, Histogram, Label

CACHE_BUCKETS: Buckets = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)

CACHE = Label("cache", "The cache's key in `CACHES`.", is_closed=True)

CACHE_OPERATION = Label(
    "operation",
    "The method of the cache that was called, such as `get`; async methods have the same name.",
    is_closed=True,
)

FALLIBLE_CACHE_OPERATIONS = (
    *("get", "get_many", "has_key", "add", "set", "set_many", "touch", "delete", "delete_many"),
    *("clear", "incr", "decr", "incr_version", "decr_version"),
)
"""The operations whose errors are counted: those of ``get_or_set`` are of what it calls."""

EVERY_CACHE = "every cache"
"""Records all of these metrics."""

CACHE_HITS = Counter(
    "cache_hits_total",
    "Cache lookups that found their key.",
    optional=(CACHE,),
    recorded_by=f"{EVERY_CACHE}, and `record_cache_hit`",
)
CACHE_MISSES = Counter(
    "cache_misses_total",
    "Cache lookups that did not find their key.",
    optional=(CACHE,),
    recorded_by=f"{EVERY_CACHE}, and `record_cache_miss`",
)
CACHE_SIZE = Gauge(
    "cache_size",
    "Entries in caches that report their size.",
    optional=(CACHE,),
    starts_unset=True,
    recorded_by=f"{EVERY_CACHE}, at each scrape",
)
CACHE_ERRORS = Counter(
    "cache_errors_total",
    "Cache operations that raised an exception.",
    (CACHE_OPERATION,),
    (CACHE,),
    recorded_by=EVERY_CACHE,
)
CACHE_OPERATIONS = Counter(
    "cache_operations_total",
    "Cache operations, including failed ones.",
    (CACHE_OPERATION,),
    (CACHE,),
    opt_in=True,
    recorded_by=EVERY_CACHE,
)
CACHE_OPERATION_DURATION = Histogram(
    "cache_operation_duration_seconds",
    "Seconds a cache operation took.",
    (CACHE_OPERATION,),
    (CACHE,),
    buckets=CACHE_BUCKETS,
    opt_in=True,
    recorded_by=EVERY_CACHE,
)
