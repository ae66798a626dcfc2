"""The recording rules: expressions that alerts and large services evaluate often.

Names are ``level:metric:operations``: https://prometheus.io/docs/practices/rules/#naming
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

EVALUATION_INTERVAL = 60
"""In seconds."""

SHORT_WINDOWS = ("30m", "2h", "6h")
LONG_WINDOWS = ("1h", "6h", "1d", "3d")
"""The windows of the burn rates, all but the shortest, five minutes."""

REQUEST_RATE = "job:http_requests:rate5m"
ERROR_RATE = "job:http_request_errors:rate5m"
TASK_DURATIONS = "job_task_le:task_run_duration_seconds_bucket:rate5m"


@dataclass(frozen=True)
class RecordingRule:
    """Record the value of an expression as a new series."""

    name: str
    expression: str


def error_ratio(window: str) -> str:
    """Return the name of the ratio of failed requests in a window."""
    return f"job:http_request_errors:ratio_rate{window}"


def error_count(window: str) -> str:
    """Return the name of the number of failed requests in a window."""
    return f"job:http_request_errors:increase{window}"


def availability_rules() -> Iterator[RecordingRule]:
    """Yield the rates of requests and of failures, and the error ratio of each window.

    The windows sum up the recorded rates, whose cost does not depend on the number of series. A
    service without failures has a rate of zero, rather than no series: otherwise its first
    failure would be the only sample of a window.
    """
    requests = "sum by (<service>) (rate(http_requests_total[5m]))"
    failed = 'sum by (<service>) (rate(http_requests_total{status=~"5.."}[5m]))'
    yield RecordingRule(REQUEST_RATE, requests)
    yield RecordingRule(ERROR_RATE, f"({failed} and {REQUEST_RATE}) or 0 * {REQUEST_RATE}")
    yield RecordingRule(error_ratio("5m"), f"{ERROR_RATE} / {REQUEST_RATE}")
    for window in sorted({*SHORT_WINDOWS, *LONG_WINDOWS}, key=_seconds):
        yield RecordingRule(
            error_ratio(window),
            f"sum_over_time({ERROR_RATE}[{window}]) / sum_over_time({REQUEST_RATE}[{window}])",
        )
    for window in LONG_WINDOWS:
        sum_of_rates = f"sum_over_time({ERROR_RATE}[{window}])"
        yield RecordingRule(error_count(window), f"{EVALUATION_INTERVAL} * {sum_of_rates}")


def _seconds(window: str) -> int:
    return int(window[:-1]) * {"m": 60, "h": 3600, "d": 86400}[window[-1]]


def route_rules() -> Iterator[RecordingRule]:
    """Yield the most frequent queries, summed over instances: for federation and long ranges."""
    yield RecordingRule(
        "job_path_status:http_requests:rate5m",
        "sum by (<service>, path, status) (rate(http_requests_total[5m]))",
    )
    yield RecordingRule(
        "job_path_le:http_request_duration_seconds_bucket:rate5m",
        "sum by (<service>, path, le) (rate(http_request_duration_seconds_bucket[5m]))",
    )


def task_rules() -> Iterator[RecordingRule]:
    """Yield the durations of each task, which an alert compares with those of a day."""
    yield RecordingRule(
        TASK_DURATIONS,
        "sum by (<service>, task, le) (rate(task_run_duration_seconds_bucket[5m]))",
    )
