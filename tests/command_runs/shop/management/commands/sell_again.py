from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Does more than its handle: it has an execute of its own."

    stealth_options = ("command", "name", "self_", "execute")

    def execute(self, *args: Any, **options: Any) -> str | None:
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> str:
        return "sold again"
