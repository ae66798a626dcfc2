"""What is known of a callable that the settings name, without a call of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction


def is_coroutine_function(call: Callable[..., Any]) -> bool:
    """Return whether the result of ``call``, a function or an object, has to be awaited."""
    return iscoroutinefunction(call) or iscoroutinefunction(type(call).__call__)


def signature_error(call: Callable[..., Any], *arguments: object) -> str:
    """Return why ``call`` does not accept these arguments; "" if it does, or if that is unknown."""
    try:
        # A decorator may pass other arguments to the function that it wraps.
        signature = inspect.signature(call, follow_wrapped=False)
    except Exception:
        # Some callables in C have no signature, and evaluating annotations may raise.
        return ""
    try:
        signature.bind(*arguments)
    except TypeError as error:
        return str(error)
    return ""
