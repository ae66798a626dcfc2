"""Settings of the project with a model, databases and caches."""

from __future__ import annotations

import os

from benchmarks import variants
from benchmarks.project.settings import *  # noqa: F403
from benchmarks.project.settings import TACHIKOMA_METRICS

INSTALLED_APPS = ["benchmarks.project", *variants.current().apps]

_backends = variants.current().backends
_SQLITE = {"NAME": ":memory:"}
_POSTGRESQL: dict[str, object] = {
    "HOST": "127.0.0.1",
    "PORT": 5432,
    "USER": "postgres",
    "NAME": "postgres",
}
DATABASES: dict[str, dict[str, object]] = {
    "default": {"ENGINE": _backends.sqlite, **_SQLITE},
    "bare": {"ENGINE": variants.NONE.backends.sqlite, **_SQLITE},
    "postgresql": {"ENGINE": _backends.postgresql, **_POSTGRESQL},
    "bare_postgresql": {"ENGINE": variants.NONE.backends.postgresql, **_POSTGRESQL},
}
if "BENCHMARK_DATABASE" in os.environ:
    DATABASES = {"default": {**DATABASES["postgresql"], "NAME": os.environ["BENCHMARK_DATABASE"]}}
    TACHIKOMA_METRICS = {
        **TACHIKOMA_METRICS,
        "BUSINESS_METRICS": {
            "missions": {"model": "project.Mission", "labels": {"secret": "is_secret"}},
        },
    }
CACHES = {
    "default": {"BACKEND": _backends.locmem},
    "redis": {
        "BACKEND": _backends.redis,
        "LOCATION": "redis://127.0.0.1:6379/9",
        "KEY_PREFIX": "tachikoma-benchmarks",
    },
}
