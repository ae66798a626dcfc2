"""Write a Grafana dashboard."""

from __future__ import annotations

import json
import re
from typing import Any

from django.core.management.base import CommandError, CommandParser

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
        """Add what the dashboard is called, leads to and contains, and where it is written."""
        super().add_arguments(parser)
        usual = monitoring.DashboardOptions()
        parser.add_argument("--title", default=usual.title, help="Title of the dashboard.")
        parser.add_argument(
            "--uid",
            default=usual.uid,
            help="Unique identifier of the dashboard in Grafana, a part of its URL. Importing a "
            "dashboard with the same one replaces it.",
        )
        parser.add_argument(
            "--datasource",
            default=usual.datasource,
            metavar="UID",
            help="UID of the Prometheus data source in Grafana that is selected at first.",
        )
        parser.add_argument(
            "--runbooks",
            default=usual.runbooks,
            metavar="URL",
            help="URL of the runbooks of the alerts, which the dashboard links to.",
        )
        self.add_objectives(parser)
        parser.add_argument(
            "--all",
            action="store_true",
            help="Include the metrics that nothing in the project's source records.",
        )
        self.add_native(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the dashboard."""
        unused = () if options["all"] else monitoring.unused_metrics()
        objectives = _objectives(options)
        made, left_out = monitoring.dashboard(
            conf.config(),
            _dashboard_options(options),
            unused,
            objectives=objectives,
            is_native=options["native"],
        )
        self.write(json.dumps(made, indent=2) + "\n", left_out, options)
        self.note_native(options)
        self.note_slow_bound(objectives, options)


def _dashboard_options(options: dict[str, Any]) -> monitoring.DashboardOptions:
    """Return the options; raise ``CommandError`` for a UID that Grafana rejects."""
    uid = options["uid"]
    # https://grafana.com/docs/grafana/latest/developers/http_api/dashboard/
    if not re.fullmatch(r"[\w-]{1,40}", uid, re.ASCII):
        raise CommandError(
            f"--uid should be 1 to 40 letters, digits, hyphens and underscores; got {uid!r}."
        )
    return monitoring.DashboardOptions(
        options["title"], uid, options["datasource"], options["runbooks"]
    )


def _objectives(options: dict[str, Any]) -> monitoring.Objectives:
    try:
        return monitoring.Objectives(options["objective"], options["slow_after"])
    except ValueError as error:
        raise CommandError(str(error)) from error
