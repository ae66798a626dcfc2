"""Which backends return the default of ``get`` unchanged, so that a sentinel can detect a miss.

Without a sentinel, a stored None looks like a missing key. Passing one is safe if every piece of
code that handles the default is known to return it unchanged.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

MISSING = object()
"""The default that is passed instead of the caller's."""

_BACKEND_MODULES = ("django.core.cache.backends.", "django_redis.cache")
_CLIENT_MODULES = ("django.core.cache.backends.", "django_redis.", "pymemcache.", "pylibmc")
_MODULES_WITH_NESTED_CALLS = ("django.core.cache.backends.base", "django.core.cache.backends.db")


@lru_cache(64)
def returns_the_default(function: Any) -> bool:
    """Return whether a ``get`` is known to return any default unchanged.

    Those of Django and django-redis are known to, unless they are wrapped.
    """
    module = getattr(function, "__module__", None) or ""
    return module.startswith(_BACKEND_MODULES) and not hasattr(function, "__wrapped__")


@lru_cache(64)
def is_atomic(function: Any) -> bool:
    """Return whether such a ``get`` also calls no other method of the cache."""
    has_nested_calls = getattr(function, "__module__", None) in _MODULES_WITH_NESTED_CALLS
    return returns_the_default(function) and not has_nested_calls


def has_known_client(cache: Any) -> bool:
    """Return whether the client that a backend passes the default to is a known library's."""
    attributes = getattr(cache, "__dict__", {})
    clients = (attributes.get("_class"), attributes.get("_client_cls"))
    modules = [str(getattr(one, "__module__", one)) for one in clients if one is not None]
    return all(module.startswith(_CLIENT_MODULES) for module in modules)
