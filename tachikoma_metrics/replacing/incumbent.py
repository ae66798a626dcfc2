"""Where a project uses django-prometheus: its settings, URLconf, environment and source.

https://github.com/django-commons/django-prometheus
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from django.core.cache import caches
from django.db import connections
from django.urls import get_resolver
from django.utils.module_loading import import_string

from tachikoma_metrics import conf
from tachikoma_metrics.conf import sources

PACKAGE = "django_prometheus"

ENGINES = {
    f"{PACKAGE}.db.backends.{name}": f"django.{place}db.backends.{name}"
    for name, place in {
        "mysql": "",
        "postgresql": "",
        "sqlite3": "",
        "postgis": "contrib.gis.",
        "spatialite": "contrib.gis.",
    }.items()
}
"""Database engines, and those that they are derived from."""

BACKENDS = {
    f"{PACKAGE}.cache.backends.{theirs}": original
    for theirs, original in {
        "django_memcached_consul.MemcachedCache": (
            "django_memcached_consul.memcached.MemcachedCache"
        ),
        "filebased.FileBasedCache": "django.core.cache.backends.filebased.FileBasedCache",
        "locmem.LocMemCache": "django.core.cache.backends.locmem.LocMemCache",
        "memcached.PyLibMCCache": "django.core.cache.backends.memcached.PyLibMCCache",
        "memcached.PyMemcacheCache": "django.core.cache.backends.memcached.PyMemcacheCache",
        "redis.NativeRedisCache": "django.core.cache.backends.redis.RedisCache",
        "redis.RedisCache": "django_redis.cache.RedisCache",
    }.items()
}
"""Cache backends, and those that they are derived from."""

MULTIPROCESS_VARIABLES = ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")

_USE = re.compile(
    rb"^(?!\s*#).*(?<![\w.])(?:django_prometheus\.\w|(?:from|import) django_prometheus\b).*$", re.M
)
_HOOK = re.compile(rb"^(?!\s*#).*\bmark_process_dead\b.*$", re.M)
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True)
class Line:
    """A line of the project's source that uses django-prometheus."""

    file: Path
    number: int
    text: str

    @property
    def place(self) -> str:
        """Return the file, relative to the current directory if it is below, and the line."""
        file = self.file
        if file.is_relative_to(Path.cwd()):
            file = file.relative_to(Path.cwd())
        return f"{file}:{self.number}"


def is_installed_app(name: str) -> bool:
    """Return whether an entry of ``INSTALLED_APPS`` is django-prometheus."""
    return name == PACKAGE or name.startswith(f"{PACKAGE}.")


def is_middleware(dotted_path: str) -> bool:
    """Return whether a middleware is one of django-prometheus, or derived from one."""
    return dotted_path.startswith(f"{PACKAGE}.") or is_derived_middleware(dotted_path)


def is_derived_middleware(dotted_path: str) -> bool:
    """Return whether a middleware of the project is derived from one of django-prometheus."""
    if dotted_path.startswith(f"{PACKAGE}."):
        return False
    try:
        imported = import_string(dotted_path)
    except Exception:
        # Django itself reports what is wrong with it, once it loads it.
        return False
    return any(one.__module__.startswith(f"{PACKAGE}.") for one in getattr(imported, "__mro__", ()))


def databases() -> dict[str, str]:
    """Return the engines of django-prometheus in ``DATABASES``, by their alias."""
    return _of_package(connections.settings, "ENGINE")


def cache_backends() -> dict[str, str]:
    """Return the backends of django-prometheus in ``CACHES``, by their alias."""
    return _of_package(caches.settings, "BACKEND")


def _of_package(declared: Mapping[str, Any], key: str) -> dict[str, str]:
    values = {alias: str(one.get(key, "")) for alias, one in declared.items()}
    return {name: value for name, value in values.items() if value.startswith(f"{PACKAGE}.")}


def routes() -> list[str]:
    """Return the paths at which the URLconf exposes the metrics of django-prometheus."""
    try:
        return [f"/{one}" for one in _routes(get_resolver(conf.root_urlconf()).url_patterns)]
    except Exception:
        # The URLconf cannot be imported, which Django reports.
        return []


def _routes(patterns: Iterable[Any], prefix: str = "") -> Iterator[str]:
    for pattern in patterns:
        route = f"{prefix}{pattern.pattern}"
        if hasattr(pattern, "url_patterns"):
            yield from _routes(pattern.url_patterns, route)
        elif getattr(pattern.callback, "__module__", "").startswith(f"{PACKAGE}."):
            yield route


def names_in_use() -> set[str]:
    """Return the dotted paths in the settings of this run that are of django-prometheus."""
    apps = conf.value_of("INSTALLED_APPS", ())
    return {
        *filter(is_middleware, conf.middleware()),
        *filter(is_installed_app, apps),
        *databases().values(),
        *cache_backends().values(),
    }


def importing_packages() -> list[str]:
    """Return the modules of installed packages that import a part of django-prometheus.

    They are those that are imported in this process, and not in the source of the project.
    """
    return [
        name
        for name, module in sorted(sys.modules.items())
        if name.partition(".")[0] != PACKAGE
        and not _INSTALLED.isdisjoint(Path(getattr(module, "__file__", None) or "").parts)
        and any(map(_is_part, list(vars(module).values())))
    ]


def _is_part(value: object) -> bool:
    # Other objects, such as lazy ones, may do anything when they are asked for an attribute.
    if not issubclass(type(value), (type, FunctionType, ModuleType)):
        return False
    name = getattr(value, "__name__" if type(value) is ModuleType else "__module__", None)
    return isinstance(name, str) and name.partition(".")[0] == PACKAGE


def environment_variables() -> list[str]:
    """Return the variables of prometheus_client's multi-process mode in this environment."""
    return [name for name in MULTIPROCESS_VARIABLES if name in os.environ]


def lines() -> list[Line]:
    """Return the lines of the project's source that import or name a part of django-prometheus."""
    return list(_matching(_USE))


def hooks() -> list[Line]:
    """Return the lines of server hooks for prometheus_client's multi-process mode."""
    return list(_matching(_HOOK))


def _matching(expression: re.Pattern[bytes]) -> Iterator[Line]:
    for file, text in sources.files():
        if _INSTALLED.isdisjoint(file.parts):
            for match in expression.finditer(text):
                number = text.count(b"\n", 0, match.start()) + 1
                yield Line(file, number, match[0].decode("utf-8", "replace").strip())
