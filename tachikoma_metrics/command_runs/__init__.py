"""Runs of the management commands that ``COMMANDS`` names.

Every way to run a command, ``manage.py``, cron or ``call_command``, calls
``BaseCommand.execute``: that method is replaced once a setting names a command, and stays what it
is otherwise. What a command returns and raises passes through.

Not counted are command lines that the command's parser rejects, a command whose own ``execute``
never calls that of ``BaseCommand``, and one that is killed.

https://docs.djangoproject.com/en/stable/howto/custom-management-commands/
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.core.management.base import BaseCommand

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import config, on_change
from tachikoma_metrics.recording.tasks import COMMAND_RUN, record_success
from tachikoma_metrics.registry import METRICS

SUCCESS, FAILURE = "success", "failure"

_is_replaced = False


def install() -> None:
    """Measure commands from now on, and from when a changed setting names one."""
    on_change(_replace)
    _replace()


def _replace() -> None:
    global _is_replaced
    if not config().commands:
        return
    METRICS.activate(catalogue.RECORDED_BY_COMMANDS)
    if not _is_replaced:
        _is_replaced = True
        BaseCommand.execute = _measured(BaseCommand.execute)  # type: ignore[method-assign]


def _measured(execute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(execute)
    # Commands have options of any name: that of `shell --command` is `command`.
    def measured(command: BaseCommand, /, *args: Any, **options: Any) -> Any:
        name = _name(command)
        if name is None:
            return execute(command, *args, **options)
        COMMAND_RUN.initialize((name,))
        process, started_at = os.getpid(), perf_counter()
        outcome = FAILURE
        try:
            result = execute(command, *args, **options)
            outcome = SUCCESS
            return result
        except SystemExit as error:
            outcome = SUCCESS if error.code in (None, 0) else FAILURE
            raise
        finally:
            # A child that the command forks runs it to its end as well.
            if os.getpid() == process:
                _record(name, outcome, perf_counter() - started_at)

    return measured


def _name(command: BaseCommand) -> str | None:
    """Return the name of a command, which is that of its module; None if it is not measured."""
    try:
        name = type(command).__module__.rpartition(".")[2]
        return name if config().measures_command(name) else None
    except Exception as error:
        METRICS.count_error("command", error)
        return None


def _record(name: str, outcome: str, seconds: float) -> None:
    COMMAND_RUN.record((name, outcome), (1.0, seconds))
    try:
        if outcome == SUCCESS:
            record_success(catalogue.COMMAND_LAST_SUCCESS_TIMESTAMP, name)
    except Exception as error:
        METRICS.count_error("command", error)
