"""Refresh the business metrics, once or at an interval."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections

from tachikoma_metrics import business, conf
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import METRICS


class Command(BaseCommand):
    """Count what ``BUSINESS_METRICS`` declares, and store it for all processes."""

    verbosity = 1
    help = (
        "Refreshes the metrics that BUSINESS_METRICS declares, and stores them for all processes. "
        "The exit status is 1 if one could not be counted or stored."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--every`` and ``--dry-run``."""
        parser.add_argument(
            "--every",
            type=_seconds,
            metavar="SECONDS",
            help="Keep refreshing every SECONDS, for services without Celery; several instances "
            "may run.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Count without saving.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Refresh once or at an interval; raise ``CommandError`` if a single refresh fails."""
        self.verbosity = options["verbosity"]
        if not conf.config().has_business_metrics:
            raise CommandError(
                "BUSINESS_METRICS is empty: there is nothing to count. Example: "
                '"BUSINESS_METRICS": {"orders": {"model": "shop.Order"}}'
            )
        if options["every"]:
            self._refresh_every(options["every"], options["dry_run"])
        else:
            self._refresh_once(options["dry_run"])

    def _refresh_once(self, dry_run: bool) -> None:
        try:
            done = business.refresh(dry_run=dry_run)
        except Exception as error:
            pass_on(error)
            METRICS.add_error("business")
            raise CommandError(f"The business metrics could not be stored: {error}") from error
        if done is not None:
            self._print(done)
            if done.errors:
                raise CommandError(f"{len(done.errors)} could not be counted.")

    def _refresh_every(self, seconds: float, dry_run: bool) -> None:
        if seconds > conf.config().business_lifetime:
            raise CommandError(
                f"BUSINESS_MAX_AGE is {conf.config().business_lifetime:g} seconds, and --every "
                f"{seconds:g}: business metrics would disappear before each refresh. It must be at "
                "least as long as --every; the default is ten times BUSINESS_INTERVAL."
            )
        is_over = threading.Event()

        def stop(*_: object) -> None:
            # The second signal ends a refresh that waits for a database that hangs.
            if is_over.is_set():
                raise SystemExit(1)
            is_over.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        while not is_over.is_set():
            self._refresh_or_report(business.min_age(seconds), dry_run)
            is_over.wait(seconds)

    def _refresh_or_report(self, min_age: float, dry_run: bool) -> None:
        # As at the end of a request: a connection that was lost is opened anew.
        close_old_connections()
        try:
            done = business.refresh(min_age, dry_run=dry_run)
        except Exception as error:
            pass_on(error)
            METRICS.add_error("business")
            self.stderr.write(f"The business metrics could not be stored: {error}")
        else:
            if done is not None:
                self._print(done)
        finally:
            close_old_connections()

    def _print(self, done: business.Refresh) -> None:
        for name, error in done.errors.items():
            self.stderr.write(self.style.ERROR(f"{name}: {error}"))
        counted = [one for one in done.snapshot.metrics if one.name not in done.errors]
        for family in counted if self.verbosity else ():
            for values, number in family.counts.items():
                named = zip(family.labels, values, strict=True)
                labels = ",".join(f'{label}="{value}"' for label, value in named)
                series = f"{family.name}{{{labels}}}" if labels else family.name
                self.stdout.write(f"{series} {number:g}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ArgumentTypeError(f"invalid value {text!r}: it must be a positive number of seconds.")
    return seconds
