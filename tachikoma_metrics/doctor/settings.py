"""What the system checks of this app report."""

from __future__ import annotations

from collections.abc import Iterator

from django.core import checks
from django.core.checks import CheckMessage, run_checks

from tachikoma_metrics.doctor.findings import ERROR, OK, WARNING, Finding

CHECK = "settings"


def of_checks() -> Iterator[Finding]:
    """Yield a finding for each message of this app that is not silenced, or that there is none."""
    messages = [one for one in run_checks() if _is_reported(one)]
    for message in messages:
        yield Finding(CHECK, _status(message), f"{message.msg} ({message.id})", message.hint or "")
    if not messages:
        yield Finding(CHECK, OK, "System checks passed.")


def _is_reported(message: CheckMessage) -> bool:
    return str(message.id).startswith("tachikoma_metrics.") and not message.is_silenced()


def _status(message: CheckMessage) -> str:
    if message.level >= checks.ERROR:
        return ERROR
    return WARNING if message.level >= checks.WARNING else OK
