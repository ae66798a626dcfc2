"""What Prometheus is to compute ahead: the rules that alerts and large services read.

Names are ``level:metric:operations``: https://prometheus.io/docs/practices/rules/#naming
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SECONDS_BETWEEN_EVALUATIONS = 60

SHORT_WINDOWS = ("30m", "2h", "6h")
LONG_WINDOWS = ("1h", "6h", "1d", "3d")
"""Those of the burn rates; five minutes is the shortest of all."""

REQUESTS = "job:http_requests:rate5m"
FAILURES = "job:http_request_errors:rate5m"


@dataclass(frozen=True)
class Recording:
    """Keep the value of an expression under a name."""

    name: str
    expression: str


def failed_share(window: str) -> str:
    """Return the name of the share of requests that failed in a window."""
    return f"job:http_request_errors:ratio_rate{window}"


def failures(window: str) -> str:
    """Return the name of the number of requests that failed in a window."""
    return f"job:http_request_errors:increase{window}"


def of_availability() -> Iterator[Recording]:
    """Yield how many requests there are and fail, and their share in each window.

    The windows add up the first two, which is cheap whatever the number of series. A service
    without failures has zero of them, not none: else the first one would be all there is.
    """
    requests = "sum by (<service>) (rate(http_requests_total[5m]))"
    failed = 'sum by (<service>) (rate(http_requests_total{status=~"5.."}[5m]))'
    yield Recording(REQUESTS, requests)
    yield Recording(FAILURES, f"({failed} and {REQUESTS}) or 0 * {REQUESTS}")
    yield Recording(failed_share("5m"), f"{FAILURES} / {REQUESTS}")
    for window in sorted({*SHORT_WINDOWS, *LONG_WINDOWS}, key=_seconds):
        yield Recording(
            failed_share(window),
            f"sum_over_time({FAILURES}[{window}]) / sum_over_time({REQUESTS}[{window}])",
        )
    for window in LONG_WINDOWS:
        in_window = f"sum_over_time({FAILURES}[{window}])"
        yield Recording(failures(window), f"{SECONDS_BETWEEN_EVALUATIONS} * {in_window}")


def _seconds(window: str) -> int:
    return int(window[:-1]) * {"m": 60, "h": 3600, "d": 86400}[window[-1]]


def of_routes() -> Iterator[Recording]:
    """Yield what is asked most, summed over all instances: for federation, and for long ranges."""
    yield Recording(
        "job_path_status:http_requests:rate5m",
        "sum by (<service>, path, status) (rate(http_requests_total[5m]))",
    )
    yield Recording(
        "job_path_le:http_request_duration_seconds_bucket:rate5m",
        "sum by (<service>, path, le) (rate(http_request_duration_seconds_bucket[5m]))",
    )
