"""Fill an empty database with a few missions and specs, and a user of the admin."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction

from missions.models import Mission, Spec

USER = "demo"
"""Name and password of a user who may log in, on loopback."""

SPECS_BY_MISSION = {
    "Serve metrics": ("Declare the metrics", "Measure requests", "Render the response"),
    "Stream progress": ("Accept sockets", "Send updates"),
    "Write it down": ("Explain the design",),
}


class Command(BaseCommand):
    """Create the demo's rows, if there are none."""

    help = "Creates a few missions and specs, unless missions exist, and the user demo."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Create the rows and print their number."""
        if not User.objects.filter(username=USER).exists():
            User.objects.create_superuser(USER, password=USER)
        if Mission.objects.exists():
            self.stdout.write("Missions exist already; nothing to do.")
            return
        for name, titles in SPECS_BY_MISSION.items():
            mission = Mission.objects.create(name=name)
            for title, status in zip(titles, Spec.Status.values, strict=False):
                Spec.objects.create(mission=mission, title=title, status=status)
        self.stdout.write(f"Created {Mission.objects.count()} missions.")
