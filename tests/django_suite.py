"""Run Django's own tests, unchanged, with every cache, connection and request measured.

    python -m tests.django_suite django-5.2/tests

The first argument is the folder of tests in Django's sdist; others are for its
``runtests.py``, labels in the place of ``LABELS``. Fails as that does, and if nothing was
counted meanwhile. The middleware is outermost in every handler, whatever a test has in
``MIDDLEWARE``. Redis and Memcached are tested where they are installed, by servers of our own.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import shutil
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.handlers.base import BaseHandler
from django.core.handlers.exception import convert_exception_to_response

from tests.services.caches import memcached, redis_server

LABELS = (
    # All that are quick and have to do with what is measured: apps that are made ready again,
    # connections, requests within tests.
    "apps",
    "cache",
    "contenttypes_tests",
    "db_utils",
    "handlers",
    "middleware",
    "sites_tests",
    "test_client",
    "transaction_hooks",
    "transactions",
    "backends.base.test_base.ExecuteWrapperTests",
)

SETTINGS = "settings_of_the_django_suite"
LOCAL = "django.core.cache.backends.locmem.LocMemCache"
REDIS = "django.core.cache.backends.redis.RedisCache"
MEMCACHED = "django.core.cache.backends.memcached.PyMemcacheCache"


def main(tests: str, *arguments: str) -> None:
    """Run the tests; raises ``SystemExit`` if one fails or nothing was counted."""
    tests = os.path.abspath(tests)
    _install_ours()
    os.chdir(tests)
    sys.path.insert(0, tests)
    # Most tests wait for something to expire: more of them than processors run at once.
    options = [f"--settings={SETTINGS}", "--parallel=6"]
    sys.argv = ["runtests.py", *options, *(arguments or LABELS)]
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        caches = {"default": {"BACKEND": LOCAL}, **_served(stack, folder)}
        sys.modules[SETTINGS] = _settings(caches, folder / "store")
        runpy.run_path("runtests.py", run_name="__main__")
        counted = _counted()
    for name, number in counted.items():
        print(f"{name} counted {number:g}.")
    if not any(counted.values()):
        sys.exit("The tests passed, but without the instruments.")


def _settings(caches: dict[str, Any], store: Path) -> types.ModuleType:
    module = types.ModuleType(SETTINGS)
    values = runpy.run_path("test_sqlite.py")
    vars(module).update(values, CACHES=caches, TACHIKOMA_METRICS={"STORE_DIR": str(store)})
    return module


def _served(stack: contextlib.ExitStack, folder: Path) -> dict[str, Any]:
    """Run a server of each kind that is installed; return the caches it makes possible."""
    caches = {}
    if _is_installed("redis-server"):
        port = stack.enter_context(redis_server(folder))
        caches["redis"] = {"BACKEND": REDIS, "LOCATION": f"redis://127.0.0.1:{port}"}
    if _is_installed("memcached"):
        port = stack.enter_context(memcached(folder))
        caches["memcached"] = {"BACKEND": MEMCACHED, "LOCATION": f"127.0.0.1:{port}"}
    return caches


def _is_installed(program: str) -> bool:
    if shutil.which(program) is not None:
        return True
    if os.environ.get("REQUIRE_SERVICES") == "1":
        sys.exit(f"{program} is not installed; Debian's package has it")
    return False


def _install_ours() -> None:
    """Add the app to those that Django's tests install whatever they test."""
    set_up: Any = django.setup

    def set_up_with_ours(**how: Any) -> None:
        # What some tests do again.
        django.setup = set_up
        settings.INSTALLED_APPS.append("tachikoma_metrics")
        set_up(**how)
        _measure_requests()

    django.setup = set_up_with_ours  # type: ignore[assignment]


def _measure_requests() -> None:
    """Have the middleware outermost in every handler."""
    from tachikoma_metrics.middleware import MetricsMiddleware

    load: Any = BaseHandler.load_middleware

    def load_with_ours(handler: Any, is_async: bool = False) -> None:
        load(handler, is_async=is_async)
        measured = MetricsMiddleware(handler._middleware_chain)
        handler._middleware_chain = convert_exception_to_response(measured)

    BaseHandler.load_middleware = load_with_ours  # type: ignore[assignment,method-assign]


def _counted() -> dict[str, float]:
    """Return what the instruments have counted."""
    from tachikoma_metrics.testing import samples

    names = ("cache_hits_total", "cache_misses_total", "db_queries_total", "http_requests_total")
    found = samples()
    return {name: sum(v for (n, _), v in found.items() if n == name) for name in names}


if __name__ == "__main__":
    main(*sys.argv[1:])
