"""The messages of checks, with the ids of this app.

A message says what is wrong, then what it must be; the hint is the remedy, with an example.
"""

from __future__ import annotations

from django.core.checks import Error, Warning

from tachikoma_metrics import conf

APP = "tachikoma_metrics"


def error(id: str, message: str, hint: str) -> Error:
    """Return an error with an id of this app."""
    return Error(message, hint=hint, id=f"{APP}.{id}")


def warning(id: str, message: str, hint: str) -> Warning:
    """Return a warning with an id of this app."""
    return Warning(message, hint=hint, id=f"{APP}.{id}")


def example(key: str) -> str:
    """Return an example of a setting, for a hint."""
    return f"Example: {conf.SETTINGS[key].entry}"
