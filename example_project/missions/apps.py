"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class MissionsConfig(AppConfig):
    """Missions, their specs, and the files that specs change."""

    name = "missions"
