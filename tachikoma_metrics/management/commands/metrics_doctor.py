"""Say whether the metrics of this service are right, and why not."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from tachikoma_metrics import diagnosis
from tachikoma_metrics.diagnosis import FINE, LOOK, Finding


class Command(BaseCommand):
    """Look at the settings, the store and the page, and tell what is found."""

    help = (
        "Says whether the metrics of this service are right, and if not, why and what to do. "
        "Exits with 1 if anything is wrong."
    )
    # They are looked at, and told of with the rest.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--url``, ``--token`` and ``--json``."""
        parser.add_argument("--url", help="Ask the page of a running server.")
        parser.add_argument("--token", default="", help="The bearer token to ask it with.")
        parser.add_argument("--json", action="store_true", help="Tell it to a program.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Tell what is found; exit with 1 if anything is wrong."""
        findings = list(
            diagnosis.of_server(options["url"], options["token"])
            if options["url"]
            else diagnosis.of_this_service()
        )
        if options["json"]:
            self.stdout.write(json.dumps(diagnosis.as_json(findings), indent=2))
        else:
            for finding in findings:
                self._tell(finding)
        if diagnosis.is_wrong(findings):
            sys.exit(1)

    def _tell(self, finding: Finding) -> None:
        styles = {FINE: self.style.SUCCESS, LOOK: self.style.WARNING}
        style = styles.get(finding.state, self.style.ERROR)
        self.stdout.write(f"{style(f'{finding.state:>5}')}  {finding.about}: {finding.says}")
        if finding.remedy:
            self.stdout.write(f"       {finding.remedy}")
