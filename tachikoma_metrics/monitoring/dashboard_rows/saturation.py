"""The row of what may run out: workers, event loops and pools."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import Panel, Query, Row, by_instance, quantiles, rate

SATURATION = Row(
    "Saturation",
    (
        Panel(
            "Busy workers",
            "How many requests are in progress on average (rate times duration, Little's law), and "
            "the processes of all kinds. If it stays near workers times threads, requests queue.",
            (
                Query(
                    "sum by (instance) (rate(http_request_duration_seconds_sum[$__rate_interval]))",
                    "busy {{instance}}",
                ),
                Query("sum by (instance) (tachikoma_metrics_processes)", "processes {{instance}}"),
            ),
        ),
        Panel(
            "Requests in flight by instance",
            "A line that only rises is requests that never finish.",
            by_instance("http_requests_in_flight"),
        ),
        Panel(
            "Request queue time",
            "Between the proxy and the middleware. It grows when all workers are busy.",
            quantiles("http_request_queue_seconds"),
            "s",
        ),
        Panel(
            "Event loop lag",
            "How late a callback runs. Code that blocks the loop delays every request of it.",
            quantiles("asgi_event_loop_lag_seconds"),
            "s",
        ),
        Panel(
            "Pool connections by state",
            "Without idle and unopened connections, threads wait for one.",
            (Query("sum by (alias, state) (db_pool_connections)", "{{alias}} {{state}}"),),
            is_stacked=True,
        ),
        Panel(
            "Threads waiting for a pool",
            "By database. If it stays above 0, the pools are too small or queries too slow.",
            (Query("sum by (alias) (db_pool_requests_waiting)", "{{alias}}"),),
        ),
        Panel(
            "Threads waiting for a pool (mean)",
            "Seconds that threads waited per second: how many waited on average.",
            rate("db_pool_wait_seconds_total", "alias", "{{alias}}"),
        ),
    ),
)
