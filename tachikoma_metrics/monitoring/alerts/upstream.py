"""Alerts about upstream APIs and the LLM calls that they answer."""

from __future__ import annotations

from tachikoma_metrics.monitoring.alerts.alert import Alert, Runbook
from tachikoma_metrics.monitoring.alerts.expressions import failing_share

UPSTREAM_ALERTS = (
    Alert(
        "DjangoBackendErrors",
        failing_share("backend_errors_total", "backend_requests_total"),
        "5m",
        "ticket",
        "{{ $labels.job }}: {{ $value | humanizePercentage }} of the requests to "
        "{{ $labels.backend }} fail.",
        Runbook(
            "More than one request in ten to an upstream API failed within an hour, and requests "
            "still fail. Retries count, so LLM calls may not be affected yet.",
            (
                "Check in *Upstream errors by type* which errors occur.",
                "`rate_limit`, `overloaded`: send fewer requests, or request a higher limit. "
                "`authentication`, `permission`: a key has expired. `timeout`, `connection`: "
                "check the network, and the status page of the provider.",
                "`invalid_request`, `unprocessable`, `not_found`: the requests of the service are "
                "wrong, usually since a deployment.",
            ),
        ),
    ),
    Alert(
        "DjangoExecutionsFailing",
        failing_share('executions_total{status=~"error|timeout"}', "executions_total"),
        "2m",
        "page",
        "{{ $labels.job }}: {{ $value | humanizePercentage }} of the LLM calls to "
        "{{ $labels.backend }} fail.",
        Runbook(
            "More than one LLM call in ten ended in an error or a timeout within an hour, all "
            "retries included, and calls still fail: users do not get a result.",
            (
                "Check in *LLM error ratio by model* whether one model is affected or all.",
                "Compare with *Upstream errors by type*. If there are none, the error is in the "
                "code that processes the responses: check the log.",
                "Switch to another model or provider, if there is one.",
            ),
        ),
    ),
)
