"""What the exposition itself says: its cost, processes, errors and cardinality."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tachikoma_metrics import conf
from tachikoma_metrics.doctor.findings import ERROR, OK, WARNING, Finding, counted

SCRAPE = "scrape"
PROCESSES = "processes"
ERRORS = "instrumentation-errors"
CARDINALITY = "cardinality"

_NEARLY_FULL = 0.8
_SLOW_SECONDS = 1.0

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


def of_cost(seconds: float, size: int) -> Finding:
    """Return how long a scrape takes, and its size."""
    message = f"Scrape: {seconds * 1000:.1f} ms, {size / 1000:.1f} kB."
    if seconds < _SLOW_SECONDS:
        return Finding(SCRAPE, OK, message)
    return Finding(
        SCRAPE, WARNING, message, "Check for a slow custom collector, cache or database."
    )


def of_processes(number: float) -> Finding:
    """Return how many processes of the service share their values."""
    if number > 0:
        return Finding(PROCESSES, OK, f"{counted(number, 'live process', 'es')}.")
    return Finding(
        PROCESSES,
        WARNING,
        "0 live processes: no process of the service shares its values with this command.",
        "Start the server. If it is running, run this command on the same host, as the same user, "
        "with the same settings module, folder and STORE_DIR.",
    )


def of_errors(samples: Samples) -> Finding:
    """Return how many instrumentation errors there were, by source."""
    errors = by_label(samples, "tachikoma_metrics_errors_total", "source")
    if not any(errors.values()):
        return Finding(ERRORS, OK, "No instrumentation errors.")
    counts = ", ".join(f"{number:.0f} in {source}" for source, number in errors.items() if number)
    total = counted(sum(errors.values()), "instrumentation error")
    return Finding(
        ERRORS,
        WARNING,
        f"{total} so far: {counts}.",
        "The server's log has the first error of each kind.",
    )


def of_cardinality(samples: Samples) -> Iterator[Finding]:
    """Yield a finding for each metric that has nearly too many label sets, or the largest."""
    limit = conf.config().cardinality_limit
    series = by_label(samples, "tachikoma_metrics_cardinality", "family")
    overflowing = by_label(samples, "tachikoma_metrics_overflow_total", "family")
    full = {f: n for f, n in series.items() if overflowing.get(f) or n >= limit * _NEARLY_FULL}
    for family, number in full.items():
        yield Finding(
            CARDINALITY,
            ERROR if overflowing.get(family) or number >= limit else WARNING,
            f"{family} has {counted(number, 'label set')}; CARDINALITY_LIMIT is {limit}.",
            'Drop a label with LABELS, or raise the limit. Example: "CARDINALITY_LIMIT": '
            f"{2 * limit}",
        )
    if not full:
        most = counted(max(series.values(), default=0.0), "label set")
        message = f"At most {most} in a metric; CARDINALITY_LIMIT is {limit}."
        yield Finding(CARDINALITY, OK, message)


def total(samples: Samples, name: str) -> float:
    """Return the sum of all samples of a name."""
    return sum(value for (found, _), value in samples.items() if found == name)


def by_label(samples: Samples, name: str, label: str) -> dict[str, float]:
    """Return the samples of a name by the value of a label."""
    return {
        dict(labels)[label]: value
        for (found, labels), value in samples.items()
        if found == name and label in dict(labels)
    }
