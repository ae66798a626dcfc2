"""Say how to replace django-prometheus, and whether the view of it counts alike."""

from __future__ import annotations

import json
import os
import textwrap
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tachikoma_metrics import conf, replacing
from tachikoma_metrics.replacing import (
    CHANGE,
    DIFFERENT,
    DONE,
    EQUAL,
    KEEP,
    PHASES,
    UNUSED,
    Comparison,
    Step,
)
from tachikoma_metrics.store import STORE, Incomplete

_VIEW = "django-prometheus"
_REQUESTS = "django_http_requests"
_MOST_DIFFERENCES = 5


class Command(BaseCommand):
    """Print the steps of the replacement, or a comparison of both packages."""

    help = (
        "Reads the settings, URLconf and source of a project that uses django-prometheus, and "
        "prints line by line what to change to replace it, in order, with the new values. With "
        "--compare, compares what both packages have counted. Nothing is changed, and the exit "
        "status is 0."
    )
    # The checks of a project that is half migrated are not what is asked for.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--compare`` and ``--json``."""
        parser.add_argument(
            "--compare",
            action="store_true",
            help="Compare each metric of the view with that of django-prometheus, while both "
            "count. The values are those of all processes of the service on this host, in the "
            "directory that they share; no server is scraped.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="Print JSON: a list of objects with phase, status, place, message and value; with "
            "--compare, with metric, status, replaced, derived, differences and reason.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the steps or the comparison; raise ``CommandError`` if nothing can be compared."""
        found = self._comparisons() if options["compare"] else list(replacing.steps())
        if options["json"]:
            self.stdout.write(json.dumps([asdict(one) for one in found], indent=2))
        elif options["compare"]:
            self._print_comparisons([one for one in found if isinstance(one, Comparison)])
        else:
            self._print_steps([one for one in found if isinstance(one, Step)])

    # --- steps ----------------------------------------------------------------

    def _print_steps(self, steps: list[Step]) -> None:
        for number, (phase, about) in enumerate(PHASES.items(), 1):
            self.stdout.write(self.style.MIGRATE_HEADING(f"{number}. {about}"))
            for step in (one for one in steps if one.phase == phase):
                self._print_step(step)

    def _print_step(self, step: Step) -> None:
        styles = {DONE: self.style.SUCCESS, KEEP: self.style.SUCCESS, CHANGE: self.style.WARNING}
        status = styles.get(step.status, self.style.NOTICE)(f"{step.status:>8}")
        self.stdout.write(f"{status}  {step.place}: {step.message}")
        if step.value:
            self.stdout.write(textwrap.indent(step.value, " " * 12))

    # --- the comparison -------------------------------------------------------

    def _comparisons(self) -> list[Comparison]:
        config = conf.config()
        if not config.enabled:
            raise CommandError("ENABLED is False: nothing is measured. It must be True.")
        if _VIEW not in config.views:
            raise CommandError(
                f'VIEWS must have "{_VIEW}": without it, the labels that it needs are not counted. '
                f'Example: "VIEWS": ["{_VIEW}"]'
            )
        directories = STORE.where()
        # Without one, this command would make it.
        is_there = not directories or any(map(os.path.isdir, directories))
        found = _read() if is_there else []
        if not any(one.replaced for one in found if _REQUESTS in one.metric):
            place = " or ".join(map(str, directories)) or "memory"
            raise CommandError(
                f"django-prometheus has counted no request in {place}. Run the "
                "command as the user of the web server, on its host or in its container, after "
                "some requests. The server must have been restarted since tachikoma_metrics was "
                "installed."
            )
        return found

    def _print_comparisons(self, found: list[Comparison]) -> None:
        for one in found:
            self._print_comparison(one)
        numbers = {
            status: sum(one.status == status for one in found)
            for status in (EQUAL, DIFFERENT, UNUSED)
        }
        if numbers[DIFFERENT]:
            self.stdout.write(replacing.OTHER_REASONS)
        counted = ", ".join(f"{number} {status}" for status, number in numbers.items())
        self.stdout.write(f"{len(found)} metrics: {counted}.")

    def _print_comparison(self, one: Comparison) -> None:
        style = self.style.WARNING if one.status == DIFFERENT else self.style.SUCCESS
        values = f"{one.replaced:g}"
        if one.status == DIFFERENT:
            values = f"django-prometheus {one.replaced:g}, view {one.derived:g}"
        self.stdout.write(f"{style(f'{one.status:>9}')}  {one.metric}: {values}")
        for difference in one.differences[:_MOST_DIFFERENCES]:
            if difference.labels:
                labels = ", ".join(f'{name}="{text}"' for name, text in difference.labels.items())
                self.stdout.write(
                    f"{'':12}{{{labels}}}: {difference.replaced:g}, {difference.derived:g}"
                )
        left = len(one.differences) - _MOST_DIFFERENCES
        if left > 0:
            self.stdout.write(f"{'':12}and {left} more")
        if one.reason:
            self.stdout.write(f"{'':12}{one.reason}")


def _read() -> list[Comparison]:
    try:
        return list(replacing.comparisons())
    except Incomplete as error:
        raise CommandError(f"{error} Run the command again.") from error
