"""The row with the state of the service at a glance."""

from __future__ import annotations

from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.panels import SMALL, Panel, Query, Row, Steps, quantile, rate

_FAILED = 'sum(rate(http_requests_total{status=~"5.."}[$__rate_interval]))'
_ALL = "sum(rate(http_requests_total[$__rate_interval]))"


_PAGING_BURN_RATE = 6
"""That of the slower of the two alerts that page."""


def failing_steps(objectives: Objectives) -> Steps:
    """Return the thresholds of an error ratio: the error budget, and when an alert pages."""
    budget = objectives.error_budget
    return (budget, "orange"), (round(_PAGING_BURN_RATE * budget, 12), "red")


def slow_steps(slow_after: float) -> Steps:
    """Return the thresholds of a p95 latency, in seconds; the last is the limit of the alert."""
    return (slow_after / 2, "orange"), (slow_after, "red")


def overview(objectives: Objectives, failing: Steps, slow: Steps) -> Row:
    """Return the row; the thresholds are those of the error ratio and of the latency."""
    return Row(
        "Overview",
        (
            Panel(
                "Requests",
                "Requests per second, wherever the response came from.",
                rate("http_requests_total"),
                "reqps",
                width=SMALL,
                kind="stat",
            ),
            Panel(
                "Error ratio",
                "Ratio of requests with a status of 500 or above. Orange: more than the objective "
                f"of {objectives.availability:g} % allows; red: so many that an alert pages within "
                "hours.",
                (Query(f"({_FAILED} / {_ALL}) or 0 * {_ALL}"),),
                "percentunit",
                width=SMALL,
                kind="stat",
                steps=failing,
            ),
            Panel(
                "p95 latency",
                "95 % of the requests were complete, to the last byte, within this time. Red: "
                f"above {slow[-1][0]:g} s, the limit of the alert; orange: above half of it.",
                (quantile(0.95, "http_request_duration_seconds"),),
                "s",
                width=SMALL,
                kind="stat",
                steps=slow,
            ),
            Panel(
                "Requests in flight",
                "Requests in progress, of all processes.",
                (Query("sum(http_requests_in_flight)"),),
                width=SMALL,
                kind="stat",
            ),
            Panel(
                "Processes",
                "Live processes that share the metrics, and targets that Prometheus can scrape.",
                (
                    Query("sum(tachikoma_metrics_processes)", "processes"),
                    Query("sum(up)", "targets"),
                ),
                width=SMALL,
                kind="stat",
            ),
            Panel(
                "Instrumentation errors",
                "Of the last hour. If there are any, metrics may be incomplete: the log has the "
                "first of each kind.",
                (
                    Query(
                        "sum(increase(tachikoma_metrics_errors_total[1h])) "
                        "or 0 * sum(tachikoma_metrics_processes)"
                    ),
                ),
                width=SMALL,
                kind="stat",
                steps=((1, "red"),),
            ),
        ),
        is_expanded=True,
    )
