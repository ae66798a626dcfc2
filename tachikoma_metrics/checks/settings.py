"""Checks of ``TACHIKOMA_METRICS`` as a whole: its name, its keys and their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.checks import CheckMessage, register

from tachikoma_metrics import conf
from tachikoma_metrics.checks.messages import error, warning


@register
def check_values(**kwargs: Any) -> list[CheckMessage]:
    """Report what ``conf`` found invalid: E001, E002, and the id of each setting."""
    found = conf.config().invalid_settings
    return [error(setting.id, setting.message, setting.hint) for setting in found]


@register
def check_settings_have_the_right_name(**kwargs: Any) -> list[CheckMessage]:
    """W024: a setting has no effect, as its name only resembles ``TACHIKOMA_METRICS``."""
    return [
        warning(
            "W024",
            f"The setting '{name}' has no effect. {_expectation(name)}",
            _hint_for(name),
        )
        for name in conf.names_of_settings()
        if name != conf.NAME and _is_nearly_the_name(name.upper())
    ]


def _is_nearly_the_name(name: str) -> bool:
    if name.startswith(f"{conf.NAME}_"):
        declared = conf.declared()
        # A settings module may use such a name while it builds the dictionary.
        return not (isinstance(declared, Mapping) and _key_of(name) in declared)
    return conf.closest(name, [conf.NAME], cutoff=0.9) is not None


def _key_of(name: str) -> str:
    """Return the key that a setting such as ``TACHIKOMA_METRICS_TOKEN`` stands for, or ""."""
    key = name.upper().removeprefix(f"{conf.NAME}_")
    return conf.closest(key, conf.SETTINGS, cutoff=0.7) or ""


def _has_prefix(name: str) -> bool:
    return name.upper().startswith(f"{conf.NAME}_")


def _expectation(name: str) -> str:
    if _has_prefix(name):
        return f"It must be a key of {conf.NAME}."
    return f"Did you mean '{conf.NAME}'?"


def _hint_for(name: str) -> str:
    key = _key_of(name) if _has_prefix(name) else ""
    remedy = "Make it a key" if _has_prefix(name) else "Rename it"
    return f"{remedy}. Example: {conf.NAME} = {{{conf.SETTINGS[key or 'NAMESPACE'].entry}}}"
