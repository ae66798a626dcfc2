from __future__ import annotations

import os
import sys
import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Ends as it is asked to."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("how", nargs="?", default="return")

    def handle(self, *args: Any, **options: Any) -> str | None:
        return getattr(self, f"_{options['how'].replace('-', '_')}")()  # type: ignore[no-any-return]

    def _return(self) -> str:
        return "sold"

    def _error(self) -> None:
        raise CommandError("sold out", returncode=7)

    def _bug(self) -> None:
        raise ValueError("no price")

    def _exit(self) -> None:
        sys.exit()

    def _exit_0(self) -> None:
        sys.exit(0)

    def _exit_2(self) -> None:
        sys.exit(2)

    def _exit_text(self) -> None:
        sys.exit("closed")

    def _interrupt(self) -> None:
        raise KeyboardInterrupt

    def _sleep(self) -> None:
        self.stdout.write("asleep", ending="\n")
        self.stdout.flush()
        time.sleep(60)

    def _nested(self) -> None:
        call_command("sell_again")
        call_command("sell_again")

    def _nested_error(self) -> None:
        call_command("sell", "error")

    def _fork(self) -> None:
        child = os.fork()
        if child == 0:
            sys.exit(7)
        os.waitpid(child, 0)
