"""What is invalid in ``TACHIKOMA_METRICS``, in the words of the checks and of the log.

A message says what is wrong, then what it must be; the hint is the remedy, with an example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tachikoma_metrics.conf.setting import Setting
from tachikoma_metrics.conf.suggestions import closest, did_you_mean
from tachikoma_metrics.conf.validators import InvalidValue
from tachikoma_metrics.interruptions import pass_on

NAME = "TACHIKOMA_METRICS"

_ACCESS_KEYS = frozenset({"ALLOWED_NETWORKS", "TOKENS", "PERMISSION"})
_LONGEST_VALUE = 200


@dataclass(frozen=True)
class InvalidSetting:
    """An entry of ``TACHIKOMA_METRICS`` that is not used, with the id of the check.

    ``key`` is "" where the setting as a whole is invalid.
    """

    id: str
    key: str
    message: str
    hint: str

    @property
    def denies_access(self) -> bool:
        """Return whether the metrics endpoint rejects all requests until this is fixed."""
        return self.id == "E001" or self.key in _ACCESS_KEYS

    @property
    def consequence(self) -> str:
        """Return what a process does about it."""
        if self.denies_access:
            return "The metrics endpoint answers 403 until this is fixed."
        return "Ignoring it." if self.id == "E002" else "Using the default."


def not_a_dictionary(values: object) -> InvalidSetting:
    """E001: ``TACHIKOMA_METRICS`` is not a dictionary."""
    return InvalidSetting(
        "E001",
        "",
        f"Invalid {NAME}: {_kind_of(values)}. It must be a dictionary.",
        f'Write a dictionary. Example: {NAME} = {{"NAMESPACE": "shop"}}',
    )


def _kind_of(value: object) -> str:
    """Return the name of a value's type: the value itself may contain a secret."""
    name = type(value).__name__
    if value is None:
        return "None"
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def unknown_key(key: object, settings: Mapping[str, Setting]) -> InvalidSetting:
    """E002: ``TACHIKOMA_METRICS`` has a key that is no setting, probably misspelt."""
    name = str(key).upper()
    message = f"Unknown key {key!r} in {NAME}. {did_you_mean(name, settings)}"
    match = closest(name, settings)
    example = settings[match or "NAMESPACE"].entry
    remedy = "Rename the key." if match else "Remove it, or use a known key."
    return InvalidSetting("E002", str(key), message, f"{remedy} Example: {example}")


def invalid_value(setting: Setting, value: object) -> InvalidSetting:
    """Return what to say about a value that does not meet the rule of its setting."""
    shown = "the value is not shown, as it may be secret"
    if setting.key != "TOKENS":
        shown = shortened(value)
    message = f"Invalid {setting.key}: {shown}. It must be {setting.rule.expectation}."
    return InvalidSetting(setting.id, setting.key, message, setting.hint)


def invalid_part(setting: Setting, error: InvalidValue) -> InvalidSetting:
    """Return what to say about the one part of a value that is invalid."""
    place = "".join(f"[{_quoted(key)}]" for key in error.at)
    message = (
        f"Invalid {setting.key}{place}: {shortened(error.got)}. It must be {error.expectation}."
    )
    return InvalidSetting(setting.id, setting.key, message, error.hint or setting.hint)


def _quoted(key: object) -> str:
    return f'"{key}"' if isinstance(key, str) else repr(key)


def shortened(value: object) -> str:
    """Return the representation of a value, of limited length. Never raises ``ValueError``."""
    try:
        shown = repr(value)
    except ValueError as error:
        pass_on(error)
        # Python converts no integer of some thousand digits to text.
        return f"a value of type {type(value).__name__} that cannot be shown"
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[: _LONGEST_VALUE - 1]}…"
