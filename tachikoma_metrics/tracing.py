"""The labels of an exemplar: the ids of the trace that is being recorded, if it is sampled.

A trace that is not sampled is stored nowhere, so a link to it would lead to nothing. Neither
OpenTelemetry nor Sentry is imported here: a process that traces has imported what it traces with.

https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.module_loading import import_string

from tachikoma_metrics import conf
from tachikoma_metrics.catalogue.definitions import is_legal_label
from tachikoma_metrics.catalogue.labels import clean
from tachikoma_metrics.conf.validators import AUTO

Labels = Mapping[str, str]

TRACE_ID, SPAN_ID = "trace_id", "span_id"

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?"
)
_IDS = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})")
_SAMPLED = 1


def no_traceparent(measured: object) -> str | None:
    """Find no ``traceparent``."""
    return None


find_traceparent: Callable[[object], str | None] = no_traceparent
"""Returns the header ``traceparent`` of the request that something was measured for."""


def labels(measured: object) -> Labels | None:
    """Return the labels for an exemplar of ``measured``; None if it belongs to no sampled trace.

    ``measured`` may have asked earlier; then it has the answer in ``exemplar_labels``.

    Raises whatever the callable in ``EXEMPLARS`` raises, and ``TypeError`` or ``ValueError`` if
    what it returns is no mapping of labels.
    """
    remembered: Labels | None = getattr(measured, "exemplar_labels", None)
    if remembered is not None:
        return remembered or None
    source = conf.config().exemplars
    if source == AUTO:
        return _of_opentelemetry() or _of_sentry() or _of_traceparent(find_traceparent(measured))
    return None if source is None else _returned_by(source)


def _of_opentelemetry() -> Labels | None:
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    if not (context.trace_flags & _SAMPLED and context.is_valid):
        return None
    return {TRACE_ID: f"{context.trace_id:032x}", SPAN_ID: f"{context.span_id:016x}"}


def _of_sentry() -> Labels | None:
    sdk: Any = sys.modules.get("sentry_sdk")
    span = None if sdk is None else sdk.get_current_span()
    if span is None or not span.sampled:
        return None
    ids = _IDS.fullmatch(f"{span.trace_id}-{span.span_id}")
    return ids and {TRACE_ID: ids[1], SPAN_ID: ids[2]}


def _of_traceparent(header: str | None) -> Labels | None:
    found = header and _TRACEPARENT.fullmatch(header)
    if not found or not int(found[3], 16) & _SAMPLED:
        return None
    return {TRACE_ID: found[1], SPAN_ID: found[2]}


def _returned_by(dotted_path: str) -> Labels | None:
    returned = import_string(dotted_path)()
    if returned is None:
        return None
    if inspect.iscoroutine(returned):
        # Otherwise Python would warn that nobody awaited it.
        returned.close()
    if not isinstance(returned, Mapping):
        raise TypeError(f"{dotted_path} must return a mapping of labels or None; got {returned!r}.")
    return {_name(name, dotted_path): clean(value) for name, value in returned.items()}


def _name(name: Any, dotted_path: str) -> str:
    if isinstance(name, str) and is_legal_label(name):
        return name
    raise ValueError(f"{dotted_path} must return labels with valid names; got {name!r}.")
