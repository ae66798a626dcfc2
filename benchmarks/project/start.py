"""Starts Django in a measuring process."""

from __future__ import annotations

import os

import django
from django.conf import settings

from benchmarks import variants


def start(*, with_backends: bool = False) -> None:
    """Set up Django with the variant of this process."""
    if with_backends:
        os.environ["DJANGO_SETTINGS_MODULE"] += "_with_backends"
    django.setup()
    if variants.current() is variants.OPENTELEMETRY:
        from benchmarks.project.opentelemetry import instrument

        instrument()
        # The instrumentation has added its middleware to the settings a second time.
        settings.MIDDLEWARE = list(variants.current().middleware)
