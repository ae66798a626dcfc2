"""The check of the callable that ``EXEMPLARS`` names."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, register
from django.utils.module_loading import import_string

from tachikoma_metrics import conf
from tachikoma_metrics.business.callables import signature_error
from tachikoma_metrics.checks.callables import trouble_with
from tachikoma_metrics.checks.messages import error, example
from tachikoma_metrics.conf.validators import AUTO


@register
def check_exemplars(**kwargs: Any) -> list[CheckMessage]:
    """E161: the path in ``EXEMPLARS`` does not lead to a plain function without arguments."""
    path = conf.config().exemplars
    trouble = "" if path in (None, AUTO) else _trouble_with_call_of(str(path))
    if not trouble:
        return []
    return [
        error(
            "E161",
            f"'{path}' in EXEMPLARS {trouble}. It must be the dotted path of a function that "
            "takes nothing and returns a mapping of labels or None.",
            'Write a function such as def exemplar(): return {"trace_id": ...}. '
            f"{example('EXEMPLARS')}",
        )
    ]


def _trouble_with_call_of(path: str) -> str:
    trouble = trouble_with(path)
    if trouble:
        return trouble
    reason = signature_error(import_string(path))
    return reason and f"cannot be called without arguments: {reason}"
