"""What commands have in common that write a file for another program."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tachikoma_metrics import conf


class WritingCommand(BaseCommand):
    """Write a text to standard output, or to the file that ``--output`` names."""

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--output``."""
        parser.add_argument(
            "--output", type=Path, metavar="FILE", help="Write to a file, not to standard output."
        )

    def write(self, text: str, left_out: list[str], options: dict[str, Any]) -> None:
        """Write ``text``, and tell of what it leaves out; raise ``CommandError`` if that fails."""
        if not conf.config().enabled:
            raise CommandError("`ENABLED` should be True; nothing is measured while it is not.")
        if options["output"] is None:
            self.stdout.write(text, ending="")
        else:
            try:
                Path(options["output"]).write_text(text, encoding="utf-8")
            except OSError as error:
                raise CommandError(f"The file cannot be written: {error}") from error
        if left_out and options["verbosity"] == 1:
            self.stderr.write(f"Left out, as it is not measured: {len(left_out)}. -v 2 says what.")
        elif options["verbosity"] > 1:
            self.stderr.write("\n".join(f"Left out: {one}" for one in left_out))
