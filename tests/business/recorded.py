"""Rows to count, and the business metrics that are exported."""

from __future__ import annotations

from missions.models import Mission, Spec
from tachikoma_metrics.testing import samples


def exported(name: str) -> dict[tuple[str, ...], float]:
    """Return the exported values of a metric by its label values."""
    return {
        tuple(value for _, value in sorted(labels)): number
        for (found_name, labels), number in samples().items()
        if found_name == name
    }


def create_specs(**statuses: int) -> Mission:
    mission = Mission.objects.create(name="Ghost")
    for status, number in statuses.items():
        Spec.objects.bulk_create(
            [Spec(mission=mission, title="Step", status=status) for _ in range(number)]
        )
    return mission
