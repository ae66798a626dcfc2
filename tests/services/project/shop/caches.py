"""A cache whose server does not answer."""

from __future__ import annotations

from typing import Any, NoReturn

from django.core.cache.backends.dummy import DummyCache


class Down(DummyCache):
    """Raise an exception at each look-up."""

    def get(self, key: Any, default: Any = None, version: int | None = None) -> NoReturn:
        """Look nothing up."""
        raise ConnectionError("no answer")
