"""Why what a dotted path leads to cannot be called."""

from __future__ import annotations

from django.utils.module_loading import import_string

from tachikoma_metrics.business.callables import is_coroutine_function, signature_error


def trouble_with(dotted_path: str) -> str:
    """Return why there is no plain callable at the path, as a predicate; "" if there is one."""
    try:
        imported = import_string(dotted_path)
    except Exception as error:
        return f"cannot be imported: {str(error).rstrip('.')}"
    if not callable(imported):
        return "is not callable"
    if is_coroutine_function(imported):
        return "is a coroutine function, which cannot be awaited here"
    return ""


def trouble_with_request_to(dotted_path: str) -> str:
    """Return why the callable at the path cannot be given a request; "" if it can."""
    trouble = trouble_with(dotted_path)
    if trouble:
        return trouble
    reason = signature_error(import_string(dotted_path), object())
    return reason and f"cannot be called with the request alone: {reason}"
