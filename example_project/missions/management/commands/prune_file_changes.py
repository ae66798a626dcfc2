"""Delete old changes of files."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from missions.models import FileChange


class Command(BaseCommand):
    """Delete the oldest changes of files; the settings have this command measured."""

    help = "Deletes all changes of files but the newest."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add ``--keep``."""
        parser.add_argument("--keep", type=int, default=100, help="How many changes to keep.")

    def handle(self, *args: Any, keep: int, **options: Any) -> None:
        """Delete the rows and print how many."""
        newest = FileChange.objects.order_by("-created_at", "-id").values_list("id", flat=True)
        deleted, _ = FileChange.objects.exclude(id__in=list(newest[:keep])).delete()
        if options["verbosity"]:
            self.stdout.write(f"Deleted {deleted} changes.")
