"""The Django app."""

from __future__ import annotations

from django.apps import AppConfig


class TachikomaMetricsConfig(AppConfig):
    """Install the checks, the metrics and the instrumentation once all apps are loaded."""

    name = "tachikoma_metrics"
    verbose_name = "Tachikoma metrics"

    def ready(self) -> None:
        """Import the checks, make the metrics and install the instrumentation.

        Opens no connection, and reads no file or table.
        """
        from tachikoma_metrics import (
            business,
            cache,
            catalogue,
            celery_workers,
            checks,  # noqa: F401  # Importing registers them.
            command_runs,
            conf,
            database,
            push,
            registry,
            runtime,
            task_runs,
        )
        from tachikoma_metrics.registry import service

        registry.install()
        # Code that recorded something before may have read incomplete settings.
        conf.reload()
        # A deployment may change the link to the release before anything is counted.
        service.names()
        database.install()
        cache.install()
        business.install()
        task_runs.install()
        celery_workers.install()
        command_runs.install()
        runtime.install()
        push.install()
        registry.METRICS.activate(catalogue.RECORDED_BY_DATABASES | catalogue.RECORDED_BY_CACHES)
