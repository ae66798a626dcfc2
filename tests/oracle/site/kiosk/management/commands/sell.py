from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from kiosk.metrics import sell


class Command(BaseCommand):
    """Sell papers, and end."""

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("count", type=int)

    def handle(self, *args: object, count: int, **options: object) -> None:
        for _ in range(count):
            sell("command")
