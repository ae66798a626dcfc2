"""Wiring, and nothing else."""

from __future__ import annotations

from django.apps import AppConfig


class TachikomaMetricsConfig(AppConfig):
    """Register the checks and the families once all apps are loaded."""

    name = "tachikoma_metrics"
    verbose_name = "Tachikoma metrics"

    def ready(self) -> None:
        """Import the checks, make the families and install the instruments.

        Opens, reads and asks nothing.
        """
        from tachikoma_metrics import (
            business,
            cache,
            catalogue,
            checks,  # noqa: F401  # Importing registers them.
            command_runs,
            conf,
            database,
            registry,
            task_runs,
        )
        from tachikoma_metrics.registry import service

        registry.install()
        # Whatever was recorded before may have read half of the settings.
        conf.reload()
        # The link to the release that was loaded may lead to another before anything is counted.
        service.names()
        database.install()
        cache.install()
        business.install()
        task_runs.install()
        command_runs.install()
        registry.METRICS.activate(catalogue.RECORDED_BY_DATABASES | catalogue.RECORDED_BY_CACHES)
