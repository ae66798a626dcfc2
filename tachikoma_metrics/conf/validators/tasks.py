"""Rules for what runs outside requests: tasks, commands, and a worker's endpoint."""

from __future__ import annotations

import ipaddress
from typing import Any

from tachikoma_metrics.conf.validators.rule import InvalidValue, Rule, require, require_part
from tachikoma_metrics.conf.validators.values import strings


def _host(value: Any) -> str:
    require(isinstance(value, str))
    try:
        return str(ipaddress.ip_address(value)) if value else ""
    except ValueError as error:
        raise InvalidValue from error


def _task_systems(value: Any) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    systems = strings(value)
    require(set(systems) <= {"celery", "django"})
    return systems


def _commands(value: Any) -> tuple[str, ...]:
    patterns = strings(value)
    for place, pattern in enumerate(patterns):
        must_be = "a pattern of command names"
        require_part(pattern != "!", place, must_be=must_be, got=pattern)
    return patterns


HOST = Rule(
    "an IP address, or an empty string for all addresses",
    "Write an address of this host; names are not resolved.",
    _host,
)
TASK_SYSTEMS = Rule(
    'True, False, or a list of "celery" and "django"',
    "True measures all that are in use, False none.",
    _task_systems,
)
COMMANDS = Rule("a list of patterns of command names", "`*` stands for any characters.", _commands)
