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
        "opt-in metrics and business metrics. Panels of metrics that nothing in the project's "
        "source records are omitted, unless --all is given. Import it in Grafana."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--title``, ``--all``, ``--native`` and ``--output``."""
        super().add_arguments(parser)
        parser.add_argument("--title", default="Django service", help="Title of the dashboard.")
        parser.add_argument(
            "--all",
            action="store_true",
            help="Include the metrics that nothing in the project's source records.",
        )
        self.add_native(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the dashboard."""
        unused = () if options["all"] else monitoring.unused_metrics()
        made, left_out = monitoring.dashboard(
            conf.config(), options["title"], unused, is_native=options["native"]
        )
        self.write(json.dumps(made, indent=2) + "\n", left_out, options)
        self.note_native(options)
