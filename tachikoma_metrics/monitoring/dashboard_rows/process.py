"""The row of processes, and of measuring itself."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import THIRD, Panel, Query, Row, by_instance, rate

PROCESS = Row(
    "Process and measuring",
    (
        Panel(
            "CPU",
            "Cores that all processes of an instance use.",
            (
                Query(
                    "sum by (instance) (rate(process_cpu_seconds_total[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
            width=THIRD,
        ),
        Panel(
            "Memory",
            "Resident memory of all processes of an instance; what they share counts for each.",
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
            "Processes",
            "Living processes of an instance that have values.",
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
            "Uptime",
            "Since the oldest living process of an instance started.",
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
            "Faults while measuring",
            "By the part of tachikoma_metrics that met them. The log names the first of each kind.",
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
            "Label sets by family",
            "How full each metric is; from CARDINALITY_LIMIT on, new label sets are `overflow`.",
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
            "Time of a scrape",
            "Seconds the page took to make.",
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
