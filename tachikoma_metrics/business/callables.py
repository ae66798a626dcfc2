"""What can be told of the project's callables before they are called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction


def is_coroutine_function(call: Callable[..., Any]) -> bool:
    """Tell whether what ``call`` returns has to be awaited; an object may be called, too."""
    return iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)


def trouble_with_arguments(call: Callable[..., Any], *arguments: object) -> str:
    """Return why ``call`` cannot be given these arguments; "" if it can, or nobody knows."""
    try:
        # What a decorator leads to may get other arguments than the decorated function.
        signature = inspect.signature(call, follow_wrapped=False)
    except Exception:
        # Some that are written in C have none, and annotations of the project's may raise.
        return ""
    try:
        signature.bind(*arguments)
    except TypeError as error:
        return str(error)
    return ""
