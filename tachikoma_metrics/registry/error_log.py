"""Instrumentation errors, counted and logged."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from tachikoma_metrics import conf
from tachikoma_metrics.interruptions import pass_on

logger = logging.getLogger("tachikoma_metrics")

_NOT_INSTALLED = (
    '`INSTALLED_APPS` must contain "tachikoma_metrics", with an underscore. Without it databases, '
    "caches and business metrics are not measured, and checks and commands are missing"
)
_MOST_LOGGED = 100
_LONGEST_LINE = 300


class ErrorLog:
    """Count instrumentation errors by their source, and log the first of each kind.

    ``increment`` adds one to the counter of errors of a source. ``count`` is the number of all
    errors of this process, which needs no metric to be read.
    """

    def __init__(self, increment: Callable[[str], object]) -> None:
        self.count = 0
        self._increment = increment
        self._logged: set[object] = set()
        self._settings_are_reported = False

    def add(self, source: str) -> None:
        """Count an error without logging it."""
        self.count += 1
        self._increment(source)

    def record(
        self, source: str, error: Exception, about: object = None, *, is_expected: bool = False
    ) -> None:
        """Count an error, and log it if it is the first of its kind and source.

        An error that ``is_expected``, such as a cache that does not respond, is logged as one
        line, without a traceback. Never raises, except for what comes from outside meanwhile.
        """
        try:
            self.add(source)
            self.log_once(
                (source, type(error), repr(about)[:200]),
                logging.ERROR,
                "Instrumentation error in %s%s: %s. Further ones of this kind are counted in "
                "tachikoma_metrics_errors_total, and not logged.",
                source,
                "" if about is None else f", from {about!r}",
                _in_a_line(error),
                exc_info=None if is_expected else error,
            )
        except Exception as trouble:
            pass_on(trouble)
            logger.exception("An instrumentation error in %s could not be counted.", source)

    def log_once(self, key: object, level: int, message: str, *details: Any, **how: Any) -> None:
        """Log a message unless one with this key was logged before, or too many others were."""
        if key not in self._logged and len(self._logged) < _MOST_LOGGED:
            self._logged.add(key)
            logger.log(level, message, *details, **how)

    def forget(self) -> None:
        """Log every kind of error again."""
        self._logged.clear()

    def report_settings(self) -> None:
        """Log and count invalid settings, unless they were reported. Never raises.

        That the app is not in ``INSTALLED_APPS`` is reported here: then it has no checks.
        """
        if self._settings_are_reported:
            return
        self._settings_are_reported = True
        if not conf.is_installed():
            self.record("settings", ImproperlyConfigured(_NOT_INSTALLED), is_expected=True)
        for setting in conf.config().invalid_settings:
            self.add("settings")
            logger.error(
                "Invalid setting (tachikoma_metrics.%s): %s %s %s",
                setting.id,
                setting.message,
                setting.consequence,
                setting.hint,
            )

    def mark_settings(self, *, are_reported: bool) -> None:
        """Note whether the present settings were reported."""
        self._settings_are_reported = are_reported


def _in_a_line(error: Exception) -> str:
    text = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {text[:_LONGEST_LINE]}" if text else type(error).__name__
