"""Which native buckets the settings give a histogram."""

from __future__ import annotations

from tachikoma_metrics import conf
from tachikoma_metrics.catalogue.definitions import Histogram
from tachikoma_metrics.conf import Config
from tachikoma_metrics.store import Native

_OF_SECONDS = (-20, 24)
"""The exponents of a microsecond, and of half a year."""

_OF_NUMBERS = (-1, 48)
"""Bytes and other whole numbers: zero, and as much as a client may claim to send."""

_OF_ANYTHING = (-128, 1024)
"""The exponents of the zero bucket of other client libraries, and of the largest number."""


def of_catalogue(family: Histogram, config: Config) -> Native | None:
    """Return the native buckets of a histogram of the catalogue."""
    if not config.is_native(family.name):
        return None
    exponents = _OF_SECONDS if family.name.endswith("_seconds") else _OF_NUMBERS
    return Native(config.native_histogram_schema, *exponents)


def of_project(name: str) -> Native | None:
    """Return the native buckets of a histogram that the project has made.

    What is observed is the project's, and may have any sign and size.
    """
    config = conf.config()
    if not config.is_native(name):
        return None
    return Native(config.native_histogram_schema, *_OF_ANYTHING)
