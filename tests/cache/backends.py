"""Cache backends for the tests, as a project might have them."""

from __future__ import annotations

from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache


class Plain(BaseCache):
    """As little as a backend has to have: all else is Django's, and calls these."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.values: dict[str, Any] = {}

    def add(self, key, value, timeout=None, version=None):
        return self.values.setdefault(self.make_key(key, version), value) is value

    def get(self, key, default=None, version=None):
        return self.values.get(self.make_key(key, version), default)

    def set(self, key, value, timeout=None, version=None):
        self.values[self.make_key(key, version)] = value

    def touch(self, key, timeout=None, version=None):
        return self.has_key(key, version)

    def delete(self, key, version=None):
        return self.values.pop(self.make_key(key, version), self) is not self

    def clear(self):
        self.values.clear()


class Twofold(LocMemCache):
    """Two layers: what the near one does not have is in the cache ``far``."""

    def get(self, key, default=None, version=None):
        near = super().get(key, self, version)
        return caches["far"].get(key, default, version) if near is self else near


class LazyClient:
    """A client of the app's own, which calls a default that can be called."""

    def get(self, key, default):
        return default() if callable(default) else default


class Lazy(RedisCache):
    """Django's backend, with that client."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = LazyClient

    @property
    def _cache(self):
        return LazyClient()


class OwnNames(Plain):
    """Its arguments have names of their own, its own keywords, and its own class method."""

    def get(self, name, default=None, version=None, *, client=None):
        return super().get(name, default, version)

    @classmethod
    def kind(cls):
        return cls.__name__


class Odd:
    """Nothing that a subclass could take the place of."""

    __slots__ = ("_values",)

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        self._values = {"key": "value"}

    def __init_subclass__(cls) -> None:
        raise TypeError("There is but one.")

    def get(self, key, default=None, version=None):
        return self._values.get(key, default)

    def close(self):
        pass


class Single(Plain):
    """One object for every alias and thread."""

    _only: Single | None = None

    def __new__(cls, *args: Any) -> Single:
        cls._only = cls._only or super().__new__(cls)
        return cls._only


class Picky(Plain):
    """Its look-ups fail for some keys."""

    def get(self, key, default=None, version=None):
        if key == "bad":
            raise ConnectionError("no answer")
        return super().get(key, default, version)
