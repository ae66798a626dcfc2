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
    url = environment.endpoint()
    if not _is_on() or not environment.is_url(url) or not environment.is_public_without_tls(url):
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
