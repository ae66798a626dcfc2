"""The row of cache look-ups."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import THIRD, Panel, Query, Row, rate

CACHE = Row(
    "Cache",
    (
        Panel(
            "Hits",
            "Share of the look-ups that found their key. A drop after a deploy is a changed key.",
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
            "Look-ups",
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
            "Entries",
            "Of the caches that can tell, as each instance sees them.",
            (Query("max by (instance) (cache_size)", "{{instance}}"),),
            width=THIRD,
        ),
    ),
)
