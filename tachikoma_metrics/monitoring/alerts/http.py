"""Alerts about HTTP requests: errors, latency, and requests without a response."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.alerts.alert import Alert, Runbook, Severity
from tachikoma_metrics.monitoring.alerts.expressions import (
    MIN_EVENTS,
    bucket_bound,
    increased,
    slow_share,
)
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.recording_rules import error_count, error_ratio


def http_alerts(
    config: Config, objectives: Objectives, native: Collection[str] = ()
) -> Iterator[Alert]:
    """Yield the alerts about HTTP requests."""
    yield from _error_budget(objectives)
    yield _slow_requests(config, objectives, native)
    yield from (_REQUESTS_STUCK, _REQUESTS_LOST)


class BurnRate(NamedTuple):
    """A rate at which the error budget burns, over a long window and over a short one."""

    long: str
    short: str
    factor: float
    pending: str
    severity: Severity


BURN_RATES = (
    BurnRate("1h", "5m", 14.4, "2m", "page"),
    BurnRate("6h", "30m", 6, "15m", "page"),
    BurnRate("1d", "2h", 3, "1h", "ticket"),
    BurnRate("3d", "6h", 1, "3h", "ticket"),
)
"""https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts"""

_ERROR_BUDGET_RUNBOOK = Runbook(
    "Requests fail with a status of 500 or above, faster than the error budget of thirty days "
    "allows: at 14.4 times the sustainable rate the budget is spent in two days, at 1 in thirty. "
    "The rate is exceeded in the long window and still in the short one. The alert needs more "
    "than ten failures in the long window.",
    (
        "Check in *Error ratio by route* whether one route fails or all.",
        "One route: look for its exceptions in the log, and for a deployment at the time when it "
        "began. Roll that back.",
        "All routes: check *Open database connections*, *Upstream errors by type* and *Memory*, "
        "for a dependency that all routes share.",
        "After recovery, record the error budget spent; the objective is `--objective`.",
    ),
)


def _error_budget(objectives: Objectives) -> Iterator[Alert]:
    for burn in BURN_RATES:
        limit = f"{burn.factor:g} * {objectives.error_budget:.12g}"
        yield Alert(
            "DjangoErrorBudgetBurn",
            f"{error_ratio(burn.long)} > {limit}\n"
            f"and {error_ratio(burn.short)} > {limit}\n"
            f"and {error_count(burn.long)} > {MIN_EVENTS}",
            burn.pending,
            burn.severity,
            "{{ $labels.job }}: {{ $value | humanizePercentage }} of the requests "
            f"failed in {burn.long}.",
            _ERROR_BUDGET_RUNBOOK,
            labels=(("window", burn.long),),
        )


def slow_bound(config: Config, objectives: Objectives, native: Collection[str] = ()) -> float:
    """Return the bound of the bucket above which a request counts as slow, in seconds."""
    return bucket_bound(catalogue.HTTP_REQUEST_DURATION, objectives.slow_after, config, native)


def _slow_requests(config: Config, objectives: Objectives, native: Collection[str]) -> Alert:
    bound = slow_bound(config, objectives, native)
    return Alert(
        "DjangoRequestsSlow",
        slow_share("http_request_duration_seconds", bound),
        "10m",
        "ticket",
        "{{ $labels.job }}: {{ $value | humanizePercentage }} of the requests take longer than "
        f"{bound:g} s.",
        Runbook(
            "More than one request in twenty takes longer than the limit.",
            (
                "Find the slow route in *p95 latency by route*, and check in *Busy workers by "
                "route* whether it matters.",
                "Compare it with *p95 query duration by operation* and *p95 duration by "
                "provider*: which dependency is slow?",
                "If everything is slow but no dependency is, check the CPU: too few cores, or "
                "workers that compute.",
                "Exclude routes that are slow by design, such as an export, with "
                "`EXCLUDE_PATHS`. The limit is `--slow-after`.",
            ),
        ),
    )


_REQUESTS_STUCK = Alert(
    "DjangoRequestsStuck",
    "sum by (<service>) (avg_over_time(http_requests_in_flight[10m]))\n"
    f"> {MIN_EVENTS} + 3 * sum by (<service>) (rate(http_request_duration_seconds_sum[10m]))\n"
    "and sum by (<service>) (avg_over_time(http_requests_in_flight[10m]))\n"
    "> 2 * sum by (<service>) (avg_over_time(http_requests_in_flight[1h] offset 15m))",
    "10m",
    "page",
    "{{ $labels.job }}: {{ $value | humanize }} requests are in flight, and few of them finish.",
    Runbook(
        "The requests in flight far exceed the rate times the duration of finished requests "
        "(Little's law), and are more than twice as many as in the hour before: some are stuck.",
        (
            "Inspect one of the processes: `py-spy dump --pid ...` shows what its threads wait "
            "for. Usually it is a database lock, or an upstream API that is called without a "
            "timeout.",
            "Set a timeout for that call; restart the workers to end the stuck requests.",
            "Streams that stay open for hours are in flight, too: if many more of them just "
            "started, nothing is wrong. The alert then resolves after an hour.",
        ),
    ),
)

_REQUESTS_LOST = Alert(
    "DjangoRequestsLost",
    increased("http_requests_lost_total"),
    "1m",
    "ticket",
    "{{ $labels.job }}: processes died within the last hour while they handled requests.",
    Runbook(
        "A process was killed while it handled requests, and their clients got no response. No "
        "other request metric counts them. Usually the system ran out of memory, or the server "
        "killed a worker that exceeded its time limit.",
        (
            "Check in *Lost requests* when it happened and on which instance.",
            "Look for `oom-kill` in the log of the kernel, or for `OOMKilled` in the state of the "
            "container: then compare *Memory* with the limit.",
            "Look for `WORKER TIMEOUT` or similar in the log of the server: then find the slow "
            "request in *p95 latency by route*, or raise the time limit.",
            "If it was during a deployment, give the workers more time to finish (Gunicorn: "
            "`graceful_timeout`; Kubernetes: `terminationGracePeriodSeconds`).",
        ),
    ),
)
