"""Wiring, and nothing else."""

from __future__ import annotations

from django.apps import AppConfig


class TachikomaMetricsConfig(AppConfig):
    """Register the checks and the families once all apps are loaded."""

    name = "tachikoma_metrics"
    verbose_name = "Tachikoma metrics"

    def ready(self) -> None:
        """Import the checks and make the families; opens, reads and asks nothing."""
        from tachikoma_metrics import (
            checks,  # noqa: F401  # Importing registers them.
            conf,
            registry,
        )

        registry.install()
        # Whatever was recorded before may have read half of the settings.
        conf.reload()
