"""Settings of the project with a model, databases and caches, of which the other has none."""

from __future__ import annotations

from benchmarks import peers
from benchmarks.project.settings import *  # noqa: F403

INSTALLED_APPS = ["benchmarks.project", *peers.current().apps]

_backends = peers.current().backends
_SQLITE = {"NAME": ":memory:"}
_POSTGRESQL = {"HOST": "127.0.0.1", "PORT": 5432, "USER": "postgres", "NAME": "postgres"}
DATABASES = {
    "default": {"ENGINE": _backends.sqlite, **_SQLITE},
    "bare": {"ENGINE": peers.NONE.backends.sqlite, **_SQLITE},
    "postgresql": {"ENGINE": _backends.postgresql, **_POSTGRESQL},
    "bare_postgresql": {"ENGINE": peers.NONE.backends.postgresql, **_POSTGRESQL},
}
CACHES = {
    "default": {"BACKEND": _backends.locmem},
    "redis": {
        "BACKEND": _backends.redis,
        "LOCATION": "redis://127.0.0.1:6379/9",
        "KEY_PREFIX": "tachikoma-benchmarks",
    },
}
