"""Transparent object proxies for transports, adapters and response bodies.

A proxy looks like the original object: the same class for ``isinstance``, the same attributes, the
same copies and pickles. Setting or deleting an attribute changes the original. httpx, httpx2 and
requests are recognised by the methods of their objects; none of them is imported.

Other instrumentation may replace a method of the same object by a wrapper of the earlier method.
A proxy therefore reads the method from the original on each access, and the proxy's own methods
never call each other by name: a wrapper that is added or removed later cannot cause a recursion.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


class ObjectProxy:
    """Behave like ``original`` except for what a subclass measures with ``by``."""

    __slots__ = ("__weakref__", "_by", "_original")

    def __init__(self, original: Any, by: Any) -> None:
        # __setattr__ sets attributes of the original.
        _set_original(self, original)
        _set_by(self, by)

    @property  # type: ignore[misc]  # isinstance() reads it after type().
    def __class__(self) -> Any:
        return self._original.__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_original"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._original, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._original, name)

    def __repr__(self) -> str:
        return repr(self._original)

    def __eq__(self, other: object) -> bool:
        same: Any = other._original if isinstance(other, type(self)) else other
        return bool(self._original == same)

    def __hash__(self) -> int:
        return hash(self._original)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # Copies are made from the original and are not measured.
        return self._original.__reduce_ex__(protocol)

    def __enter__(self) -> Any:
        entered = self._original.__enter__()
        return self if entered is self._original else entered

    def __exit__(self, *raised: Any) -> Any:
        return self._original.__exit__(*raised)

    async def __aenter__(self) -> Any:
        entered = await self._original.__aenter__()
        return self if entered is self._original else entered

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._original.__aexit__(*raised)


# The descriptors of __slots__ set an attribute of the proxy without calling __setattr__.
_set_original: Any = vars(ObjectProxy)["_original"].__set__
_set_by: Any = vars(ObjectProxy)["_by"].__set__


class MeasuredCall(ObjectProxy):
    """A proxy of a bound method of the original, whose calls are measured.

    ``by`` is the proxy of the method's owner, kept alive as long as the method. ``around`` calls
    the method; its arguments are that proxy, the method and the arguments of the call.
    """

    __slots__ = ("_around",)

    def __init__(self, method: Any, by: ObjectProxy, around: Callable[..., Any]) -> None:
        _set_original(self, method)
        _set_by(self, by)
        _set_around(self, around)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the method returns."""
        return self._around(self._by, self._original, *args, **kwargs)


_set_around: Any = vars(MeasuredCall)["_around"].__set__


class Method:
    """Descriptor of a proxy's method: reads the original's method, which may be missing."""

    def __init__(self, around: Callable[..., Any]) -> None:
        self._around = around

    def __set_name__(self, owner: type[ObjectProxy], name: str) -> None:
        self._name = name

    def __get__(self, proxy: Any, owner: Any = None) -> Any:
        if proxy is None:
            return self._of_class
        return MeasuredCall(getattr(proxy._original, self._name), proxy, self._around)

    @property
    def _of_class(self) -> Callable[..., Any]:
        """Return the method as a function whose first argument is the proxy."""
        return lambda proxy, *args, **kwargs: self.__get__(proxy)(*args, **kwargs)


class InnerMethod(Method):
    """Descriptor of a method that only httpx calls: faster, and callable but no full proxy."""

    def __get__(self, proxy: Any, owner: Any = None) -> Any:
        if proxy is None:
            return super().__get__(proxy, owner)
        return partial(self._around, proxy, getattr(proxy._original, self._name))
