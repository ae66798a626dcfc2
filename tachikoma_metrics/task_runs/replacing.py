"""Functions of Celery's that are replaced by ones that call them and measure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

_IS_OURS = "_is_of_tachikoma_metrics"
"""The attribute of a function that measures. What others wrap around it as functools.wraps()
does has it too."""


def replacement(original: Any, function: Any) -> Callable[..., Any]:
    """Return ``function`` such that it is known to call ``original``, and to measure."""
    function.__wrapped__ = original
    setattr(function, _IS_OURS, True)
    return cast("Callable[..., Any]", function)


def is_measured(function: Any) -> bool:
    """Return whether a function measures, or is one that others wrapped around such a one."""
    return hasattr(function, _IS_OURS)
