"""Fill an empty database with a few missions and specs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from missions.models import Mission, Spec

SPECS_BY_MISSION = {
    "Serve metrics": ("Declare the metrics", "Measure requests", "Render the response"),
    "Stream progress": ("Accept sockets", "Send updates"),
    "Write it down": ("Explain the design",),
}


class Command(BaseCommand):
    """Create the demo's rows, if there are none."""

    help = "Creates a few missions and specs, unless missions exist."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Create the rows and print their number."""
        if Mission.objects.exists():
            self.stdout.write("Missions exist already; nothing to do.")
            return
        for name, titles in SPECS_BY_MISSION.items():
            mission = Mission.objects.create(name=name)
            for title, status in zip(titles, Spec.Status.values, strict=False):
                Spec.objects.create(mission=mission, title=title, status=status)
        self.stdout.write(f"Created {Mission.objects.count()} missions.")
