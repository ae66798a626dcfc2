"""Reading ``TACHIKOMA_METRICS``: valid values are used, invalid ones reported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import invalid
from tachikoma_metrics.conf.config import SETTINGS, Config
from tachikoma_metrics.conf.invalid import InvalidSetting
from tachikoma_metrics.conf.setting import Setting
from tachikoma_metrics.conf.validators import InvalidValue
from tachikoma_metrics.interruptions import pass_on

_IMPLIED: dict[str, Mapping[str, Any]] = {
    gauge.name: {
        "callable": f"tachikoma_metrics.business.migrations.{function}",
        "labels": gauge.label_names,
    }
    for gauge, function in (
        (catalogue.MIGRATIONS_UNAPPLIED, "unapplied"),
        (catalogue.MIGRATIONS_APPLIED, "applied"),
    )
}
"""What ``EXTRA_METRICS`` adds to ``BUSINESS_METRICS``."""


def read(values: object) -> Config:
    """Return the configuration that ``values`` declares.

    Never raises: an invalid value leaves the default in place and is reported in
    ``Config.invalid_settings``, as is an unknown key.
    """
    if not isinstance(values, Mapping):
        return Config(invalid_settings=(invalid.not_a_dictionary(values),))
    found = [invalid.unknown_key(key, SETTINGS) for key in values if key not in SETTINGS]
    accepted: dict[str, Any] = {}
    for key, setting in SETTINGS.items():
        if key in values:
            value = _read_value(setting, values[key])
            if isinstance(value, InvalidSetting):
                found.append(value)
            else:
                accepted[key.lower()] = value
    if accepted.get("tokens") and "ALLOWED_NETWORKS" not in values:
        accepted["allowed_networks"] = ("*",)
    implied = {
        name: declaration
        for name, declaration in _IMPLIED.items()
        if name in accepted.get("extra_metrics", ())
    }
    if implied:
        accepted["business_metrics"] = {**implied, **accepted.get("business_metrics", {})}
    return Config(**accepted, invalid_settings=tuple(found))


def _read_value(setting: Setting, value: object) -> Any:
    """Return a value in the form the code works with, or what is invalid about it."""
    try:
        return setting.rule.read(value)
    except InvalidValue as error:
        if error.is_about_a_part:
            return invalid.invalid_part(setting, error)
        return invalid.invalid_value(setting, value)
    except Exception as error:
        pass_on(error)
        return invalid.invalid_value(setting, value)
