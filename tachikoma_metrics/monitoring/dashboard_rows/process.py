"""The row of processes, and of the instrumentation itself."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import (
    THIRD,
    Panel,
    Query,
    Row,
    by_instance,
    quantiles,
    rate,
)

PROCESS = Row(
    "Runtime",
    (
        Panel(
            "CPU",
            "CPU cores that all processes of an instance use.",
            (
                Query(
                    "sum by (instance) (rate(process_cpu_seconds_total[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
            "cores",
            width=THIRD,
        ),
        Panel(
            "Memory",
            "Resident memory of all processes of an instance; shared memory counts for each.",
            by_instance("process_resident_memory_bytes"),
            "bytes",
            width=THIRD,
        ),
        Panel(
            "Open files",
            "Of all processes of an instance. A line that only rises is a leak.",
            by_instance("process_open_fds"),
            width=THIRD,
        ),
        Panel(
            "Processes by instance",
            "Live processes of an instance that share its metrics.",
            by_instance("tachikoma_metrics_processes"),
            width=THIRD,
        ),
        Panel(
            "Garbage collections",
            "Of Python's collector, by generation.",
            rate("python_gc_collections_total", "generation", "{{generation}}"),
            "ops",
            width=THIRD,
        ),
        Panel(
            "Garbage collection pauses",
            "Of a process, while the collector runs.",
            quantiles("python_gc_pause_seconds"),
            "s",
            width=THIRD,
        ),
        Panel(
            "Uptime",
            "Since the oldest live process of an instance started.",
            (
                Query(
                    "time() - max by (instance) (process_start_time_seconds)",
                    "{{instance}}",
                ),
            ),
            "s",
            width=THIRD,
        ),
        Panel(
            "Instrumentation errors by source",
            "Instrumentation errors by component. The log has the first of each kind.",
            (
                Query(
                    "sum by (source) (increase(tachikoma_metrics_errors_total[$__rate_interval])) "
                    "or on () 0 * sum(tachikoma_metrics_processes)",
                    "{{source}}",
                ),
            ),
            width=THIRD,
        ),
        Panel(
            "Label sets by metric",
            "Cardinality of each metric; above CARDINALITY_LIMIT, new label sets are `overflow`.",
            (Query("max by (family) (tachikoma_metrics_cardinality)", "{{family}}"),),
            width=THIRD,
        ),
        Panel(
            "Rejected scrapes",
            "By the rule that rejected them. The log has the address of the first of each network.",
            (
                Query(
                    "sum by (reason) "
                    "(increase(tachikoma_metrics_scrapes_refused_total[$__rate_interval])) "
                    "or on () 0 * sum(tachikoma_metrics_processes)",
                    "{{reason}}",
                ),
            ),
            width=THIRD,
        ),
        Panel(
            "Pushes",
            "By outcome, where metrics are sent by OTLP. The log has the first failure.",
            (
                Query(
                    "sum by (outcome) (increase(tachikoma_metrics_pushes_total[$__rate_interval]))",
                    "{{outcome}}",
                ),
            ),
            width=THIRD,
        ),
        Panel(
            "Time since the last push",
            "Seconds since the receiver accepted values of an instance, if it sends by OTLP.",
            (
                Query(
                    "time() - max by (instance) "
                    "(tachikoma_metrics_push_last_success_timestamp_seconds)",
                    "{{instance}}",
                ),
            ),
            "s",
            width=THIRD,
        ),
        Panel(
            "Scrape duration",
            "Seconds that a scrape took.",
            (
                Query(
                    "max by (instance) (tachikoma_metrics_scrape_duration_seconds)", "{{instance}}"
                ),
            ),
            "s",
            width=THIRD,
        ),
    ),
)
