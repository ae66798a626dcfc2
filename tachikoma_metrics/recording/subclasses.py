"""Subclasses that replace the class of one of the app's objects.

The object stays the same: it gets no attribute and no wrapper, so that attributes which other
code sets, wraps, deletes or restores work as they do without the subclass. ``isinstance``,
``__class__`` and ``repr`` show its original class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import update_wrapper
from inspect import signature
from typing import Any, TypeVar

from tachikoma_metrics.interruptions import pass_on, suppress

_MARK = "_is_measured_by_tachikoma_metrics"
_CLASS: Any = vars(object)["__class__"]


def measured_subclass(
    original: Any, members: Mapping[str, Any], derive: Callable[[Any], Any] | None = None
) -> Any:
    """Return a subclass of ``original`` that looks like it, and has ``members``.

    ``derive`` returns such a subclass of a class that other code assigns to the object later;
    without it, the object then has the assigned class.
    """
    namespace: dict[str, Any] = {
        "__slots__": (),
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": original.__doc__,
        "__class__": property(lambda measured: original, _giving(derive)),
        _MARK: True,
        **members,
    }
    return type(original)(original.__name__, (original,), namespace)


def is_measured_class(kind: Any) -> bool:
    """Return whether ``kind`` is such a subclass."""
    return hasattr(kind, _MARK)


def set_class(measured: Any, kind: Any) -> None:
    """Set the class of an object to ``kind``; raise TypeError if their layouts differ."""
    # Not through the object's __setattr__, which its class may override.
    _CLASS.__set__(measured, kind)


Function = TypeVar("Function", bound=Callable[..., Any])


def imitating(method: Function, original: Any) -> Function:
    """Return ``method`` with the name, the docstring and the signature of ``original``.

    It has no ``__wrapped__`` but that of the original, so that code which counts or removes
    wrappers finds those of the original.
    """
    facts: Any = update_wrapper(method, original)
    del facts.__wrapped__
    if hasattr(original, "__wrapped__"):
        facts.__wrapped__ = original.__wrapped__
    with suppress(TypeError, ValueError):
        facts.__signature__ = signature(original)
    return method


def _giving(derive: Callable[[Any], Any] | None) -> Callable[[Any, Any], None]:
    def give_instead(measured: Any, kind: Any) -> None:
        try:
            mine = kind if derive is None or is_measured_class(kind) else derive(kind)
        except Exception as error:
            pass_on(error)
            mine = kind
        set_class(measured, mine)

    return give_instead


def reduce_as_original(measured: Any, protocol: Any) -> Any:
    """Copy and pickle an object as one of its original class; serves as ``__reduce_ex__``."""
    kind = type(measured)
    original = kind.__mro__[1]
    reduced = super(kind, measured).__reduce_ex__(protocol)
    if isinstance(reduced, str):
        return reduced
    make, args, *rest = reduced
    args = tuple(original if arg is kind else arg for arg in args)
    return (original if make is kind else make, args, *rest)
