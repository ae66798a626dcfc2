"""Alerts about pushes by OTLP. Without any, they have no data."""

from __future__ import annotations

from tachikoma_metrics.monitoring.alerts.alert import Alert, Runbook

_LAST_SUCCESS = "tachikoma_metrics_push_last_success_timestamp_seconds"

_LOG = (
    "Look for `A push to` in the log of the service, or in that of `manage.py metrics_push`: it "
    "names the endpoint, the outcome and the reason, once for each outcome."
)

PUSH_ALERTS = (
    Alert(
        "DjangoMetricsPushStopped",
        # The series of a service whose metrics arrive by push alone end with the pushes.
        f"time() - max by (<service>) (max_over_time({_LAST_SUCCESS}[1h])) > 300",
        "1m",
        "ticket",
        "{{ $labels.job }}: the last successful push was {{ $value | humanizeDuration }} ago.",
        Runbook(
            "No host of the service has sent its metrics by OTLP for five minutes, although one "
            "did within the last hour. If metrics arrive in no other way, the other alerts have "
            "no data.",
            (
                "If the service was shut down, this is expected: the alert ends within an hour.",
                _LOG,
                "Run `manage.py metrics_push otlp --once` on a host: it prints the reason, or "
                "that a process of the service is the sender.",
            ),
        ),
    ),
    Alert(
        "DjangoMetricsPushesFail",
        "sum by (<service>, outcome) "
        '(increase(tachikoma_metrics_pushes_total{outcome!="success"}[15m])) > 3',
        "5m",
        "ticket",
        "{{ $labels.job }}: {{ $value | humanize }} pushes of the last 15 minutes were "
        "{{ $labels.outcome }}.",
        Runbook(
            "Pushes by OTLP fail again and again. No totals are lost: each push sends all of "
            "them. But graphs have gaps, and gauges are missing in between.",
            (
                _LOG,
                "`unreachable`, `error`: the receiver is down or overloaded, or the endpoint is "
                "wrong. `throttled`: it wants fewer requests; raise "
                "`OTEL_METRIC_EXPORT_INTERVAL`.",
                "`rejected`: the path of the endpoint or the headers are wrong, or the request "
                "is too large for the receiver. `partial`: the receiver rejects some values; the "
                "reason is in the log.",
                "`incomplete`: run `manage.py metrics_doctor`.",
            ),
        ),
    ),
)
