"""``CACHES`` and ``TACHIKOMA_METRICS`` of the tests."""

from __future__ import annotations

import uuid
from typing import Any

LOCAL = "django.core.cache.backends.locmem.LocMemCache"
FILES = "django.core.cache.backends.filebased.FileBasedCache"
DATABASE = "django.core.cache.backends.db.DatabaseCache"
DUMMY = "django.core.cache.backends.dummy.DummyCache"

LABELED_BY_CACHE = {
    "LABELS": dict.fromkeys(("cache_hits_total", "cache_misses_total", "cache_size"), ("cache",))
}


def local_cache() -> dict[str, Any]:
    """Return a cache in local memory that no other test uses."""
    return {"BACKEND": LOCAL, "LOCATION": uuid.uuid4().hex}


def custom_cache(name: str) -> dict[str, Any]:
    """Return a cache with a backend of ``tests.cache.backends``."""
    return {"BACKEND": f"tests.cache.backends.{name}"}
