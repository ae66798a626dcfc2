"""Write a Grafana dashboard."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from tachikoma_metrics import conf, monitoring
from tachikoma_metrics.management.writing import WritingCommand


class Command(WritingCommand):
    """Write a dashboard that matches the settings."""

    part, parts = "panel", "panels"
    help = (
        "Writes a Grafana dashboard, as JSON, that matches the settings: their namespace, labels, "
        "opt-in metrics and business metrics. Import it in Grafana."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--title`` and ``--output``."""
        super().add_arguments(parser)
        parser.add_argument("--title", default="Django service", help="Title of the dashboard.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the dashboard."""
        made, left_out = monitoring.dashboard(conf.config(), options["title"])
        self.write(json.dumps(made, indent=2) + "\n", left_out, options)
