"""Cache backends such as a project may define."""

from __future__ import annotations

from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache


class Plain(BaseCache):
    """The methods that a backend must have; Django's base class implements the others with them."""

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
    """Two layers: keys that are missing here are looked up in the cache ``far``."""

    def get(self, key, default=None, version=None):
        near = super().get(key, self, version)
        return caches["far"].get(key, default, version) if near is self else near


class LazyClient:
    """A custom client, which calls a default that is callable."""

    def get(self, key, default):
        return default() if callable(default) else default


class Lazy(RedisCache):
    """Django's backend, with the custom client."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = LazyClient

    @property
    def _cache(self):
        return LazyClient()


class OwnNames(Plain):
    """A backend with other argument names, another keyword, and a class method."""

    def get(self, name, default=None, version=None, *, client=None):
        return super().get(name, default, version)

    @classmethod
    def kind(cls):
        return cls.__name__


class Odd:
    """A backend that cannot be subclassed."""

    __slots__ = ("_values",)

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        self._values = {"key": "value"}

    def __init_subclass__(cls) -> None:
        raise TypeError("This class has no subclasses.")

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
    """A backend whose lookups fail for some keys."""

    def get(self, key, default=None, version=None):
        if key == "bad":
            raise ConnectionError("no answer")
        return super().get(key, default, version)


class Down(BaseCache):
    """A backend whose server does not answer."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _fail(self, *args, **kwargs):
        raise ConnectionError("no answer")

    add = get = set = touch = delete = clear = has_key = _fail
