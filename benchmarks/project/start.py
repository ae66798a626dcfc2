"""Start Django in a process that is measured."""

from __future__ import annotations

import os

import django
from django.conf import settings

from benchmarks import peers


def start(*, with_backends: bool = False) -> None:
    """Set up Django with the peer this process was started for."""
    if with_backends:
        os.environ["DJANGO_SETTINGS_MODULE"] += "_with_backends"
    django.setup()
    if peers.current() is peers.OPENTELEMETRY:
        from benchmarks.project.opentelemetry import instrument

        instrument()
        # The instrumentation has put its middleware into the settings a second time.
        settings.MIDDLEWARE = list(peers.current().middleware)
