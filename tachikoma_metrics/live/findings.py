"""The doctor's findings, for the top of the page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tachikoma_metrics import doctor


def findings() -> list[dict[str, Any]]:
    """Return each finding, the worst first."""
    found = list(doctor.of_this_service(is_command=False))
    levels = [doctor.ERROR, doctor.WARNING, doctor.OK]
    return [asdict(one) for one in sorted(found, key=lambda one: levels.index(one.status))]
