"""What ``manage.py check`` reports about some settings."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage
from django.test import override_settings

from tests.conftest import found

_UNSET = object()


def message(id: str, declared: object = _UNSET, **settings: Any) -> CheckMessage:
    """Return the message with an id, where settings of the project are so."""
    if declared is not _UNSET:
        settings["TACHIKOMA_METRICS"] = declared
    with override_settings(**settings):
        return found()[id]
