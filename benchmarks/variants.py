"""The compared packages, and the settings that each of them needs."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

# Variables of the shell would affect some variants and not others.
_REMOVED_PREFIXES = ("DJANGO_", "GUNICORN_", "OTEL_", "PROMETHEUS_", "PYTHON", "prometheus_")


@dataclass(frozen=True)
class Backends:
    """The backends of databases and caches; Django's by default."""

    sqlite: str = "django.db.backends.sqlite3"
    postgresql: str = "django.db.backends.postgresql"
    locmem: str = "django.core.cache.backends.locmem.LocMemCache"
    redis: str = "django.core.cache.backends.redis.RedisCache"


@dataclass(frozen=True)
class Variant:
    """A package under test: its apps, middleware and backends.

    ``folder_variable`` is the environment variable with the folder for shared values, if any;
    ``views`` and ``exemplars`` are settings of tachikoma_metrics; ``is_traced`` says that
    OpenTelemetry has a sampled span for each request.
    """

    name: str
    title: str
    apps: tuple[str, ...] = ()
    middleware: tuple[str, ...] = ()
    folder_variable: str = ""
    backends: Backends = Backends()
    views: tuple[str, ...] = ()
    exemplars: str | None = None
    is_traced: bool = False

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment of a process of this variant, whose files go to ``folder``."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_REMOVED_PREFIXES)
        }
        environment["BENCHMARK_VARIANT"] = self.name
        environment["DJANGO_SETTINGS_MODULE"] = "benchmarks.project.settings"
        # Different hash seeds would add noise.
        environment["PYTHONHASHSEED"] = "0"
        if self.folder_variable:
            environment[self.folder_variable] = str(folder)
        return environment


_MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_HAND_WRITTEN = ("benchmarks.project.hand_written.HandWrittenMiddleware",)

NONE = Variant("none", "no metrics")
TACHIKOMA = Variant(
    "tachikoma",
    "tachikoma_metrics",
    ("tachikoma_metrics",),
    ("tachikoma_metrics.middleware.MetricsMiddleware",),
    folder_variable="BENCHMARK_STORE_DIR",
)
WITH_VIEW = replace(
    TACHIKOMA,
    name="tachikoma-view",
    title="tachikoma_metrics, with the view of django-prometheus",
    views=("django-prometheus",),
)
EXEMPLARS = replace(
    TACHIKOMA,
    name="tachikoma-exemplars",
    title="tachikoma_metrics, `EXEMPLARS`, no tracer",
    exemplars="auto",
)
EXEMPLARS_TRACED = replace(
    EXEMPLARS,
    name="tachikoma-exemplars-traced",
    title="tachikoma_metrics, `EXEMPLARS`, in a sampled span",
    is_traced=True,
)
DJANGO_PROMETHEUS = Variant(
    "django-prometheus",
    "django-prometheus, multi-process",
    ("django_prometheus",),
    (
        "django_prometheus.middleware.PrometheusBeforeMiddleware",
        "django_prometheus.middleware.PrometheusAfterMiddleware",
    ),
    folder_variable=_MULTIPROCESS_VARIABLE,
    backends=Backends(
        sqlite="django_prometheus.db.backends.sqlite3",
        postgresql="django_prometheus.db.backends.postgresql",
        locmem="django_prometheus.cache.backends.locmem.LocMemCache",
        redis="django_prometheus.cache.backends.redis.NativeRedisCache",
    ),
)
OPENTELEMETRY = Variant(
    "opentelemetry",
    "OpenTelemetry's instrumentation, one process",
    (),
    ("opentelemetry.instrumentation.django.middleware.otel_middleware._DjangoMiddleware",),
)
PROMETHEUS_CLIENT = Variant(
    "prometheus-client", "prometheus_client, one process", (), _HAND_WRITTEN
)
CLIENT_MULTIPROCESS = Variant(
    "prometheus-client-multiprocess",
    "prometheus_client, multi-process",
    (),
    _HAND_WRITTEN,
    folder_variable=_MULTIPROCESS_VARIABLE,
)
OPENTELEMETRY_TRACES = Variant("opentelemetry-traces", "OpenTelemetry's, with a tracer provider")
CELERY_EVENTS = Variant("celery-events", "Celery's events, for celery-exporter")

_VARIANTS = (
    NONE,
    TACHIKOMA,
    WITH_VIEW,
    EXEMPLARS,
    EXEMPLARS_TRACED,
    DJANGO_PROMETHEUS,
    OPENTELEMETRY,
    OPENTELEMETRY_TRACES,
    CELERY_EVENTS,
    PROMETHEUS_CLIENT,
    CLIENT_MULTIPROCESS,
)


def current() -> Variant:
    """Return the variant that this process was started for."""
    name = os.environ["BENCHMARK_VARIANT"]
    return next(variant for variant in _VARIANTS if variant.name == name)


def require_files() -> None:
    """Raise ``RuntimeError`` if the current variant shares values but has no file."""
    variable = current().folder_variable
    if variable and not os.listdir(os.environ[variable]):
        raise RuntimeError(f"{current().title} has no file, so it shared no values.")
