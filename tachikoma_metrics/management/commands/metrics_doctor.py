"""Check whether the metrics of this service are right, and report why not."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tachikoma_metrics import doctor
from tachikoma_metrics.doctor import ERROR, OK, WARNING, Finding
from tachikoma_metrics.page import bearer_tokens
from tachikoma_metrics.store import STORE

TOKEN_VARIABLE = "TACHIKOMA_METRICS_TOKEN"  # noqa: S105  # The variable's name is no secret.
_EXAMPLE = "http://127.0.0.1:8000/metrics"
_WIDTH = len(WARNING)


class Command(BaseCommand):
    """Check the settings, the store and the metrics endpoint, and print the findings."""

    help = (
        "Diagnoses the settings, the shared memory and the metrics endpoint, and reports each "
        "problem with its fix. Each finding is ok, a warning or an error. The exit status is 1 if "
        "one is an error, or with --fail-level warning, a warning."
    )
    # The command itself runs them, and prints them with the other findings.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--url``, the ways to give a token, ``--json`` and ``--fail-level``."""
        parser.add_argument(
            "--url",
            help="Scrape the metrics endpoint of a running server. If it requires a token, the "
            "first of TOKENS is sent, unless one is given here or in the environment variable "
            f"{TOKEN_VARIABLE}.",
        )
        parser.add_argument(
            "--token-file", metavar="FILE", help="The file with the bearer token to send."
        )
        parser.add_argument(
            "--token",
            default="",
            help="The bearer token to send. Other users of the host can read it in the process "
            "list: prefer --token-file.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="Print JSON: a list of objects with check, status, message and hint.",
        )
        parser.add_argument(
            "--fail-level",
            choices=[WARNING, ERROR],
            default=ERROR,
            metavar="LEVEL",
            help="Exit with 1 if a finding has this status or a worse one.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the findings; exit with 1 if one is at or above ``--fail-level``."""
        _require_url(options)
        is_of_server = options["url"] is not None
        findings = self._of_server(options) if is_of_server else self._of_this_service()
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in findings], indent=2))
        else:
            for finding in findings:
                self._print(finding)
        if doctor.has_reached(options["fail_level"], findings):
            sys.exit(1)

    def _of_server(self, options: dict[str, Any]) -> list[Finding]:
        if self._ends_afterwards():
            # Otherwise the server counts this command among its processes.
            STORE.leave()
        return list(doctor.of_server(options["url"], _token(options)))

    def _of_this_service(self) -> list[Finding]:
        return list(doctor.of_this_service(ends_afterwards=self._ends_afterwards()))

    def _ends_afterwards(self) -> bool:
        # A process that uses call_command() continues.
        return bool(getattr(self, "_called_from_command_line", False))

    def _print(self, finding: Finding) -> None:
        styles = {OK: self.style.SUCCESS, WARNING: self.style.WARNING}
        status = styles.get(finding.status, self.style.ERROR)(f"{finding.status:>{_WIDTH}}")
        self.stdout.write(f"{status}  {printable(f'{finding.check}: {finding.message}')}")
        if finding.hint:
            self.stdout.write(f"{'':{_WIDTH}}  {printable(finding.hint)}")


def _require_url(options: dict[str, Any]) -> None:
    """Raise ``CommandError`` for an empty URL, and for a token without a URL."""
    url = options["url"]
    if url is None and (options["token"] or options["token_file"]):
        raise CommandError(
            "--token and --token-file need --url: without it no server is scraped. Example: "
            f"--url {_EXAMPLE}"
        )
    if url is not None and not url.strip():
        raise CommandError(
            "--url is empty. It must be the URL of the metrics endpoint; leave it out to check "
            f"this service without a server. Example: --url {_EXAMPLE}"
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
    """Return a text without control characters: a server may have written it."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
