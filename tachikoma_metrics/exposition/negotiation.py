"""Content negotiation: the format and the encoding that a scraper accepts.

https://prometheus.io/docs/instrumenting/content_negotiation/
https://www.rfc-editor.org/rfc/rfc9110#name-content-negotiation
"""

from __future__ import annotations

from typing import Any

from django.http.request import MediaType

from tachikoma_metrics.exposition.formats import Format
from tachikoma_metrics.exposition.protobuf import PROTOBUF
from tachikoma_metrics.exposition.render import OPENMETRICS, TEXT
from tachikoma_metrics.interruptions import pass_on

_PROTOBUF_MESSAGE = "io.prometheus.client.MetricFamily"


def choose_format(accept: str) -> Format[Any]:
    """Return the format of the response, given an ``Accept`` header.

    It is the first that is served, by descending weights, then in the order of the header, and
    with wildcards last: protobuf, OpenMetrics in version 1.0.0 or without one, or text 0.0.4.
    Text 0.0.4 is also what a client gets that names none of them, as Prometheus expects, and one
    whose header is malformed.
    """
    try:
        accepted = [MediaType(item) for item in accept.split(",") if item.strip()]
    except ValueError as error:
        pass_on(error)
        return TEXT
    ordered = sorted(accepted, key=lambda one: (-one.quality, one.main_type == "*"))
    for media_type in ordered:
        format = _format_of(media_type) if media_type.quality > 0 else None
        if format is not None:
            return format
    return TEXT


def _format_of(media_type: MediaType) -> Format[Any] | None:
    if _is_protobuf(media_type):
        return PROTOBUF
    if _is_openmetrics(media_type):
        return OPENMETRICS
    return TEXT if _is_text(media_type) else None


def _is_protobuf(media_type: MediaType) -> bool:
    kind = (media_type.main_type, media_type.sub_type)
    proto = media_type.params.get("proto", "")
    encoding = media_type.params.get("encoding", "")
    is_delimited = proto == _PROTOBUF_MESSAGE and encoding == "delimited"
    return kind == ("application", "vnd.google.protobuf") and is_delimited


def _is_openmetrics(media_type: MediaType) -> bool:
    kind = (media_type.main_type, media_type.sub_type)
    version = media_type.params.get("version", "1.0.0")
    return kind == ("application", "openmetrics-text") and version == "1.0.0"


def _is_text(media_type: MediaType) -> bool:
    return media_type.main_type in ("text", "*") and media_type.sub_type in ("plain", "*")


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an ``Accept-Encoding`` header allows gzip."""
    weights = dict(_weighted_coding(item) for item in accept_encoding.split(","))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weighted_coding(item: str) -> tuple[str, float]:
    coding, *parameters = (part.strip().lower() for part in item.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return coding, _weight(value)
    return coding, 1.0


def _weight(value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        pass_on(error)
        return 0.0
