from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from depot import metrics


class Command(BaseCommand):
    """Sell one thing."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Sell it."""
        metrics.sell("command")
