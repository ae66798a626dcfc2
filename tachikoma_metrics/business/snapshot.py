"""The result of one refresh: the business metrics that all processes export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tachikoma_metrics.business.counting import Counts


@dataclass(frozen=True)
class CountedMetric:
    """The values of a business metric; ``at`` is the Unix time at which they were counted."""

    name: str
    help: str
    labels: tuple[str, ...]
    at: float
    counts: Counts


@dataclass(frozen=True)
class Snapshot:
    """The metrics of a refresh that began at ``taken_at`` and took ``duration`` seconds.

    A metric that could not be counted is in ``failed``, with its previous values.
    """

    taken_at: float
    duration: float = 0.0
    metrics: tuple[CountedMetric, ...] = ()
    failed: tuple[str, ...] = ()

    def content(self) -> dict[str, Any]:
        """Return the snapshot as JSON values.

        Older and newer releases read the same row, so the keys must not change.
        """
        metrics = [
            {**asdict(metric), "counts": [[list(key), n] for key, n in metric.counts.items()]}
            for metric in self.metrics
        ]
        return {"duration": self.duration, "failed": list(self.failed), "families": metrics}


EMPTY = Snapshot(0.0)


def restored(taken_at: float, content: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot with this content; raise if it is not the content of a snapshot."""
    metrics = tuple(
        CountedMetric(
            str(one["name"]),
            str(one["help"]),
            tuple(map(str, one["labels"])),
            float(one["at"]),
            {tuple(map(str, key)): float(number) for key, number in one["counts"]},
        )
        for one in content.get("families", ())
    )
    failed = tuple(map(str, content.get("failed", ())))
    return Snapshot(taken_at, float(content.get("duration", 0.0)), metrics, failed)
