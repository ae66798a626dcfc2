"""What is compared, and what each needs around it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# Whatever the shell is set up for would change what some are measured with, not others.
_LEFT_OUT = ("DJANGO_", "GUNICORN_", "OTEL_", "PROMETHEUS_", "PYTHON", "prometheus_")


@dataclass(frozen=True)
class Backends:
    """Name the backends of databases and caches; Django's own unless told."""

    sqlite: str = "django.db.backends.sqlite3"
    postgresql: str = "django.db.backends.postgresql"
    locmem: str = "django.core.cache.backends.locmem.LocMemCache"
    redis: str = "django.core.cache.backends.redis.RedisCache"


@dataclass(frozen=True)
class Peer:
    """One way to measure a service: by apps, middleware and backends.

    ``folder_variable`` tells those that share values in files where to have these.
    """

    name: str
    title: str
    apps: tuple[str, ...] = ()
    middleware: tuple[str, ...] = ()
    folder_variable: str = ""
    backends: Backends = Backends()

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment of a process of this peer, whose files go to ``folder``."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)
        }
        environment["BENCHMARK_PEER"] = self.name
        environment["DJANGO_SETTINGS_MODULE"] = "benchmarks.project.settings"
        # Dictionaries are laid out alike in all processes, and one cause of noise is gone.
        environment["PYTHONHASHSEED"] = "0"
        if self.folder_variable:
            environment[self.folder_variable] = str(folder)
        return environment


_STOCK_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_STOCK = ("benchmarks.project.stock.StockMiddleware",)

NONE = Peer("none", "no metrics")
OURS = Peer(
    "ours",
    "tachikoma_metrics",
    ("tachikoma_metrics",),
    ("tachikoma_metrics.middleware.MetricsMiddleware",),
    folder_variable="BENCHMARK_STORE_DIR",
)
DJANGO_PROMETHEUS = Peer(
    "django-prometheus",
    "django-prometheus, multi-process",
    ("django_prometheus",),
    (
        "django_prometheus.middleware.PrometheusBeforeMiddleware",
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    ),
    folder_variable=_STOCK_FOLDER,
    backends=Backends(
        sqlite="django_prometheus.db.backends.sqlite3",
        postgresql="django_prometheus.db.backends.postgresql",
        locmem="django_prometheus.cache.backends.locmem.LocMemCache",
        redis="django_prometheus.cache.backends.redis.NativeRedisCache",
    ),
)
OPENTELEMETRY = Peer(
    "opentelemetry",
    "OpenTelemetry's instrumentation, one process",
    (),
    ("opentelemetry.instrumentation.django.middleware.otel_middleware._DjangoMiddleware",),
)
STOCK = Peer("stock", "prometheus_client, one process", (), _STOCK)
STOCK_SHARED = Peer(
    "stock-shared", "prometheus_client, multi-process", (), _STOCK, folder_variable=_STOCK_FOLDER
)
OPENTELEMETRY_TRACES = Peer("opentelemetry-traces", "OpenTelemetry's, with a tracer provider")
CELERY_EVENTS = Peer("celery-events", "Celery's events, for celery-exporter")

_PEERS = (
    NONE,
    OURS,
    DJANGO_PROMETHEUS,
    OPENTELEMETRY,
    OPENTELEMETRY_TRACES,
    STOCK,
    STOCK_SHARED,
    CELERY_EVENTS,
)


def current() -> Peer:
    """Return the peer that this process was started for."""
    name = os.environ["BENCHMARK_PEER"]
    return next(peer for peer in _PEERS if peer.name == name)


def require_files() -> None:
    """Raise ``RuntimeError`` if the current peer should share values and has no file."""
    variable = current().folder_variable
    if variable and not os.listdir(os.environ[variable]):
        raise RuntimeError(f"{current().title} has no file: it measured something else.")
