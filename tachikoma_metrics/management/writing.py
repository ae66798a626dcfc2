"""The base of commands that write a file for another program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tachikoma_metrics import conf, monitoring


class WritingCommand(BaseCommand):
    """Write a text to standard output, or to the file that ``--output`` names.

    ``part`` and ``parts`` name what the text consists of, such as panels.
    """

    part, parts = "part", "parts"

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--output``."""
        parser.add_argument(
            "--output", type=Path, metavar="FILE", help="Write to a file, not to standard output."
        )

    def add_native(self, parser: CommandParser) -> None:
        """Add ``--native``."""
        parser.add_argument(
            "--native",
            action="store_true",
            help="Query native histograms, those of `NATIVE_HISTOGRAMS`: without `_bucket` and "
            "`le`. For Prometheus 3.",
        )

    def add_objectives(self, parser: CommandParser) -> None:
        """Add ``--objective`` and ``--slow-after``."""
        usual = monitoring.Objectives()
        parser.add_argument(
            "--objective",
            type=float,
            default=usual.availability,
            metavar="PERCENT",
            help="Availability objective over 30 days, in percent.",
        )
        parser.add_argument(
            "--slow-after",
            type=float,
            default=usual.slow_after,
            metavar="SECONDS",
            help="Duration above which a request is slow, rounded up to the next bucket unless "
            "--native is given.",
        )

    def note_slow_bound(self, objectives: monitoring.Objectives, options: dict[str, Any]) -> None:
        """Warn that ``--slow-after`` is not the bound of a bucket, and which bound is used."""
        config = conf.config()
        native = monitoring.queried_natively(config) if options["native"] else frozenset()
        bound = monitoring.slow_bound(config, objectives, native)
        if options["verbosity"] and bound != objectives.slow_after:
            which = "the highest" if bound < objectives.slow_after else "the next"
            self.note(
                f"Warning: --slow-after {objectives.slow_after:g} is not the bound of a bucket. "
                f"Requests of more than {bound:g} s count as slow, {which} bound. To make it "
                f"exact, add {objectives.slow_after:g} to LATENCY_BUCKETS."
            )

    def note_native(self, options: dict[str, Any]) -> None:
        """Report what ``--native`` assumes if the settings turn on no native histograms."""
        if options["native"] and options["verbosity"] and not conf.config().native_histograms:
            self.note(
                "NATIVE_HISTOGRAMS is not set: the queries find histograms only if Prometheus "
                "converts classic ones (convert_classic_histograms_to_nhcb)."
            )

    def write(self, text: str, left_out: list[str], options: dict[str, Any]) -> None:
        """Write ``text``, and report what it omits; raise ``CommandError`` if that fails."""
        if not conf.config().enabled:
            raise CommandError("ENABLED is False: nothing is measured. It must be True.")
        if options["output"] is None:
            self.stdout.write(text, ending="")
        else:
            try:
                Path(options["output"]).write_text(text, encoding="utf-8")
            except OSError as error:
                raise CommandError(f"The file cannot be written: {error}") from error
        self._report_omissions(left_out, options["verbosity"])

    def note(self, text: str) -> None:
        """Print a remark to standard error, without the style of an error."""
        self.stderr.write(text, style_func=str)

    def _report_omissions(self, left_out: list[str], verbosity: int) -> None:
        if left_out and verbosity == 1:
            number, what = len(left_out), self.parts if len(left_out) != 1 else self.part
            self.note(
                f"Omitted {number} {what} about what these settings do not measure "
                "(-v 2 lists them)."
            )
        elif verbosity > 1:
            for one in left_out:
                self.note(f"Left out: {one}")
