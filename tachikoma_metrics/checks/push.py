"""Checks of where ``OTLP`` sends values."""

from __future__ import annotations

import os
from typing import Any

from django.core.checks import CheckMessage, register

from tachikoma_metrics import conf
from tachikoma_metrics.checks.messages import error, warning
from tachikoma_metrics.push import environment

_SHORT_SECONDS = 5.0


def _is_on() -> bool:
    config = conf.config()
    return config.enabled and config.otlp


@register
def check_otlp_is_installed(**kwargs: Any) -> list[CheckMessage]:
    """E181: ``OTLP`` is True, but the extra ``otlp`` is not installed."""
    if not _is_on() or environment.is_installed():
        return []
    return [
        error(
            "E181",
            "OTLP is True, but OpenTelemetry's exporter is not installed: nothing is sent. The "
            "extra otlp must be installed.",
            "Install it. Example: pip install 'tachikoma-metrics[otlp]'",
        )
    ]


@register
def check_endpoint_is_url(**kwargs: Any) -> list[CheckMessage]:
    """E182: the environment variable of the endpoint has no URL that values can be sent to."""
    if not _is_on() or environment.is_url(environment.endpoint()):
        return []
    return [
        error(
            "E182",
            f"{environment.name_of_endpoint()} must be a URL that begins with http:// or "
            f"https://; got '{environment.shown_endpoint()}'.",
            f"Correct it in the environment. Example: {environment.ENDPOINT}=http://collector:4318",
        )
    ]


@register
def check_interval_is_number(**kwargs: Any) -> list[CheckMessage]:
    """E183: the environment variable of the interval is invalid: the default is used."""
    if not _is_on() or environment.interval() is not None:
        return []
    return [
        error(
            "E183",
            f"{environment.INTERVAL} must be a positive number of milliseconds; got "
            f"'{os.environ[environment.INTERVAL]}'.",
            f"Correct it in the environment. Example: {environment.INTERVAL}=15000",
        )
    ]


@register
def check_endpoint_is_set(**kwargs: Any) -> list[CheckMessage]:
    """W180: ``OTLP`` is True, but no environment variable names the receiver."""
    if not _is_on() or environment.has_endpoint():
        return []
    return [
        warning(
            "W180",
            f"OTLP is True, but no environment variable names the receiver: "
            f"{environment.endpoint()} is used. {environment.ENDPOINT} must be set, unless a "
            "receiver runs on this host.",
            "Set it; if the receiver runs on this host, set it to the URL of that. Example: "
            f"{environment.ENDPOINT}=http://collector:4318",
        )
    ]


@register
def check_endpoint_is_private_or_encrypted(**kwargs: Any) -> list[CheckMessage]:
    """W181: values and headers are sent unencrypted to a public host."""
    return _unencrypted() if _is_on() else []


def _unencrypted() -> list[CheckMessage]:
    url = environment.endpoint()
    if not environment.is_url(url) or not environment.is_public_without_tls(url):
        return []
    return [
        warning(
            "W181",
            f"{environment.name_of_endpoint()} is {environment.shown_endpoint()}: values and "
            "headers, such as tokens, are sent unencrypted. The URL of a public host must begin "
            "with https://.",
            f"Use https. Example: {environment.ENDPOINT}=https://otlp.example.com",
        )
    ]


@register
def check_endpoint_has_usual_path(**kwargs: Any) -> list[CheckMessage]:
    """W184: no receiver is likely to be at the path that values are sent to."""
    return _with_odd_path() if _is_on() else []


def _with_odd_path() -> list[CheckMessage]:
    doubt = environment.path_in_doubt() if environment.is_url(environment.endpoint()) else ""
    if not doubt:
        return []
    return [
        warning(
            "W184",
            f"{doubt}: values are sent to {environment.shown_endpoint()}, which receivers are not "
            f"likely to have. {environment.ENDPOINT} must be the URL without /v1/metrics, or "
            f"{environment.METRICS_ENDPOINT} the whole one.",
            f"Correct it in the environment. Example: {environment.ENDPOINT}=http://collector:4318",
        )
    ]


def endpoint_doubts() -> list[CheckMessage]:
    """Return what is odd about the endpoint, whether ``OTLP`` is set or not."""
    return [*_unencrypted(), *_with_odd_path()]


@register
def check_interval_is_long_enough(**kwargs: Any) -> list[CheckMessage]:
    """W182: values are sent more often than every five seconds."""
    seconds = environment.interval()
    if not _is_on() or seconds is None or seconds >= _SHORT_SECONDS:
        return []
    return [
        warning(
            "W182",
            f"{environment.INTERVAL} is {os.environ[environment.INTERVAL]} milliseconds. It should "
            "be at least 5000: each push costs the CPU time of a scrape, and receivers limit the "
            f"number of requests. The least is {environment.SHORTEST_INTERVAL * 1000:g}.",
            f"Raise it. Example: {environment.INTERVAL}=15000",
        )
    ]


@register
def check_protocol_is_http(**kwargs: Any) -> list[CheckMessage]:
    """W183: an environment variable selects a protocol that is not supported."""
    protocol = environment.protocol()
    if not _is_on() or protocol == environment.HTTP_PROTOBUF:
        return []
    return [
        warning(
            "W183",
            f"The protocol of OTLP is set to '{protocol}', but http/protobuf is used, for which "
            "receivers have another port. It must be http/protobuf.",
            "Set it for metrics, and check the port of the endpoint. Example: "
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf",
        )
    ]


@register
def check_headers_are_pairs(**kwargs: Any) -> list[CheckMessage]:
    """W185: headers are not ``name=value``: OpenTelemetry ignores them, and logs them."""
    name = environment.invalid_headers()
    if not _is_on() or not name:
        return []
    return [
        warning(
            "W185",
            f"{name} must be name=value, percent-encoded, with commas between several. A header "
            "that is not is ignored, and OpenTelemetry writes it to the log.",
            f"Correct it in the environment. Example: {name}=Authorization=Bearer%20token",
        )
    ]


@register
def check_timeout_is_in_seconds(**kwargs: Any) -> list[CheckMessage]:
    """W186: the variable with the timeout is not a number of seconds that can be waited for."""
    name = environment.invalid_timeout()
    if not _is_on() or not name:
        return []
    return [
        warning(
            "W186",
            f"{name} must be a number of seconds, above 0 and at most "
            f"{environment.LONGEST_TIMEOUT:g}; got '{os.environ[name]}'. A longer one is cut.",
            f"Correct it in the environment. Example: {name}=10",
        )
    ]
