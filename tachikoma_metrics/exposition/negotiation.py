"""Content negotiation: the format and the encoding that a scraper accepts.

https://prometheus.io/docs/instrumenting/content_negotiation/
https://www.rfc-editor.org/rfc/rfc9110#name-content-negotiation
"""

from __future__ import annotations

from collections.abc import Iterable

from django.http.request import MediaType

from tachikoma_metrics.exposition.render import OPENMETRICS, TEXT, Format
from tachikoma_metrics.interruptions import pass_on


def choose_format(accepted: Iterable[MediaType]) -> Format:
    """Return the format of the response, given the accepted types, the preferred first.

    It is OpenMetrics if the client names that, in version 1.0.0 or without one; otherwise it is
    text 0.0.4, even if the client does not name it, as Prometheus expects.
    """
    for media_type in accepted:
        if _is_openmetrics(media_type):
            return OPENMETRICS
        if _is_text(media_type):
            return TEXT
    return TEXT


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
