"""The page of a run."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from importlib import metadata

import tachikoma_metrics
from benchmarks.plan import Plan
from benchmarks.tables import table

_NOTICE = "<!-- Written by `python -m benchmarks`; run it again instead of changing it. -->"
_INTRODUCTION = """\
Each figure below is of this one run on one machine. **Ratios travel to another machine,
absolute times do not**: those are given as an orientation. All variants were measured by
turns, each in processes of its own; a ratio is taken within a round and what is shown is the
median of the rounds, followed by the least and the greatest. A share of 0.5 means that
tachikoma_metrics takes half of what the other takes. CPU is that of the process, all its
threads included, and of several repeats in a process the least, because whatever disturbs a
measurement only adds to it."""
_REPEAT = """\
Repeat it with `make bench`, in about five minutes, or with more rounds and larger services with
`python -m benchmarks`, in the environment of the dependency group `bench`. A part is run by its
name, such as `python -m benchmarks --short scrape`; `gunicorn` needs `wrk`, of which Debian has a
package; `queries` and `caches` also ask a PostgreSQL and a Redis, if one answers on 127.0.0.1."""
_NOISE = """\
## How far to trust it

The ranges are the noise of this run: where two of them overlap, there is no difference to
speak of. What a middleware adds is the difference of two measurements and takes on the noise
of both, most of all where the rest is many times as expensive, as with gunicorn: there a range
of a few rounds is wide, and may even say that nothing was added (a share of zero or below), or
nothing by the other (`∞`). A machine that does something else meanwhile widens the ranges.
Nothing here waits for a network or a disk as a real service does, and for a database or a
cache only where it says so: the shares say what metrics cost, not by how much a service becomes
slower."""

_DISTRIBUTIONS = (
    "django",
    "prometheus-client",
    "django-prometheus",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-django",
    "opentelemetry-instrumentation-dbapi",
    "opentelemetry-instrumentation-celery",
    "celery",
    "gunicorn",
    "psycopg",
    "redis",
)


def page(plan: Plan, sections: Iterable[str]) -> str:
    """Return the page in Markdown."""
    parts = ["# Benchmarks", _NOTICE, _INTRODUCTION, _REPEAT, *sections, _NOISE, *_versions(plan)]
    return "\n\n".join(parts) + "\n"


def _versions(plan: Plan) -> Iterator[str]:
    yield "## Measured with"
    yield table(
        ("", "version"),
        [
            ("tachikoma_metrics", tachikoma_metrics.__version__),
            (platform.python_implementation(), platform.python_version()),
            *((name, metadata.version(name)) for name in _DISTRIBUTIONS),
            (platform.system(), f"{platform.release()}, {platform.machine()}"),
            ("CPUs", str(os.cpu_count())),
            ("form of the run", plan.name),
        ],
    )
