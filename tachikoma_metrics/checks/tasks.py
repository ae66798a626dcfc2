"""Checks of what is measured outside requests: commands and queues."""

from __future__ import annotations

from fnmatch import filter as matching
from typing import Any

from django.core.checks import CheckMessage, register
from django.core.management import get_commands

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.checks.messages import example, warning


@register
def check_commands_exist(**kwargs: Any) -> list[CheckMessage]:
    """W140: a pattern in ``COMMANDS`` matches no management command of the project."""
    commands = list(get_commands())
    return [
        warning(
            "W140",
            f"The pattern '{pattern}' in COMMANDS matches no management command of this project. "
            f"{conf.did_you_mean(pattern.removeprefix('!'), commands)}",
            f"Remove or correct it; `manage.py help` lists the commands. {example('COMMANDS')}",
        )
        for pattern in conf.config().commands
        if not matching(commands, pattern.removeprefix("!"))
    ]


@register
def check_queue_lengths_are_of_celery(**kwargs: Any) -> list[CheckMessage]:
    """W141: ``EXTRA_METRICS`` lists ``task_queue_length``, but ``TASKS`` excludes Celery."""
    config = conf.config()
    name = catalogue.TASK_QUEUE_LENGTH.name
    if not config.is_extra(catalogue.TASK_QUEUE_LENGTH) or config.measures_celery:
        return []
    return [
        warning(
            "W141",
            f"{name} in EXTRA_METRICS measures the queues of Celery, which TASKS excludes: it has "
            "no values.",
            f'Add Celery to TASKS, or remove {name}. Example: "TASKS": ["celery"]',
        )
    ]
