"""Say whether the metrics of this service are right, and why not."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tachikoma_metrics.doctor import diagnosis
from tachikoma_metrics.doctor.diagnosis import FINE, LOOK, Finding
from tachikoma_metrics.page import bearer_tokens
from tachikoma_metrics.store import STORE

TOKEN_VARIABLE = "TACHIKOMA_METRICS_TOKEN"  # noqa: S105  # The variable's name is no secret.
_EXAMPLE = "http://127.0.0.1:8000/metrics"


class Command(BaseCommand):
    """Look at the settings, the store and the page, and tell what is found."""

    help = (
        "Says whether the metrics of this service are right, and if not, why and what to do. "
        "Exits with 1 if anything is wrong."
    )
    # They are looked at, and told of with the rest.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--url``, the ways to give a token, and ``--json``."""
        parser.add_argument(
            "--url",
            help="Ask the metrics endpoint of a running server. If it needs a token, the first of "
            f"TOKENS is sent, unless one is given here or in the environment as {TOKEN_VARIABLE}.",
        )
        parser.add_argument(
            "--token-file", metavar="FILE", help="The file with the bearer token to send."
        )
        parser.add_argument(
            "--token",
            default="",
            help="The bearer token to send. Other users of the machine can read it in the list of "
            "processes: prefer --token-file.",
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Tell what is found; exit with 1 if anything is wrong."""
        _require_url(options)
        is_of_server = options["url"] is not None
        findings = list(self._of_server(options) if is_of_server else self._of_this_service())
        if options["json"]:
            self.stdout.write(json.dumps(diagnosis.as_json(findings), indent=2))
        else:
            for finding in findings:
                self._tell(finding)
        if diagnosis.is_wrong(findings):
            sys.exit(1)

    def _of_server(self, options: dict[str, Any]) -> list[Finding]:
        if self._ends_afterwards():
            # The server is not to count this command among its processes.
            STORE.leave()
        return list(diagnosis.of_server(options["url"], _token(options)))

    def _of_this_service(self) -> list[Finding]:
        return list(diagnosis.of_this_service(ends_afterwards=self._ends_afterwards()))

    def _ends_afterwards(self) -> bool:
        # Another process may call the command, and goes on.
        return bool(getattr(self, "_called_from_command_line", False))

    def _tell(self, finding: Finding) -> None:
        styles = {FINE: self.style.SUCCESS, LOOK: self.style.WARNING}
        style = styles.get(finding.state, self.style.ERROR)
        says = printable(f"{finding.about}: {finding.says}")
        self.stdout.write(f"{style(f'{finding.state:>5}')}  {says}")
        if finding.remedy:
            self.stdout.write(f"       {printable(finding.remedy)}")


def _require_url(options: dict[str, Any]) -> None:
    """Raise ``CommandError`` for a URL that is empty, and for a token that goes nowhere."""
    url = options["url"]
    if url is None and (options["token"] or options["token_file"]):
        raise CommandError(
            "--token and --token-file are for --url: without it no server is asked. Add it, as in "
            f"--url {_EXAMPLE}."
        )
    if url is not None and not url.strip():
        raise CommandError(
            "--url should be the URL of the metrics endpoint; got an empty one. Write it like "
            f"{_EXAMPLE}, or leave it out to look at this service from within."
        )


def _token(options: dict[str, Any]) -> str:
    if options["token"]:
        return str(options["token"])
    if not options["token_file"]:
        return os.environ.get(TOKEN_VARIABLE, "")
    try:
        return bearer_tokens.read_file(options["token_file"])[0]
    except bearer_tokens.Unreadable as error:
        raise CommandError(f"--token-file: {error}.") from error


def printable(text: str) -> str:
    """Return a text without what a terminal would obey: a server may have written it."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
