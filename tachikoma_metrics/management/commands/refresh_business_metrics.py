"""Refresh the business counts, once or again and again."""

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
    """Count the families of ``BUSINESS_METRICS`` for all processes to show."""

    verbosity = 1
    help = (
        "Counts what BUSINESS_METRICS declares, for all processes to show. Exits with 1 "
        "if anything could not be counted or kept."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--every`` and ``--dry-run``."""
        parser.add_argument(
            "--every",
            type=_seconds,
            metavar="SECONDS",
            help="Go on until told to stop, for services without Celery; several do the "
            "work of one.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Count, and keep nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Refresh as asked; raise ``CommandError`` if a single refresh fails."""
        self.verbosity = options["verbosity"]
        if not conf.config().has_business_metrics:
            raise CommandError(
                "`BUSINESS_METRICS` should declare what to count; it is empty. Write it like "
                '{"orders": {"model": "shop.Order"}}.'
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
            raise CommandError(f"The business metrics could not be kept: {error}") from error
        if done is not None:
            self._tell(done)
            if done.errors:
                raise CommandError(f"{len(done.errors)} could not be counted.")

    def _refresh_every(self, seconds: float, dry_run: bool) -> None:
        if seconds > conf.config().business_lifetime:
            raise CommandError(
                "`BUSINESS_MAX_AGE` should be at least as long as --every: else the counts are "
                f"dropped in between. It is {conf.config().business_lifetime:g} seconds, ten "
                "times `BUSINESS_INTERVAL` unless set."
            )
        is_over = threading.Event()

        def stop(*_: object) -> None:
            # Whoever asks twice does not want to wait for a database that hangs.
            if is_over.is_set():
                raise SystemExit(1)
            is_over.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        while not is_over.is_set():
            self._refresh_or_say_why(business.min_age(seconds), dry_run)
            is_over.wait(seconds)

    def _refresh_or_say_why(self, min_age: float, dry_run: bool) -> None:
        # What the end of a request does elsewhere: a database that was away is found again.
        close_old_connections()
        try:
            done = business.refresh(min_age, dry_run=dry_run)
        except Exception as error:
            pass_on(error)
            METRICS.add_error("business")
            self.stderr.write(f"The business metrics could not be kept: {error}")
        else:
            if done is not None:
                self._tell(done)
        finally:
            close_old_connections()

    def _tell(self, done: business.Refresh) -> None:
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
        raise ArgumentTypeError(f"it should be a positive number of seconds; got {text!r}.")
    return seconds
