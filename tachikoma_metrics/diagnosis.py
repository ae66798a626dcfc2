"""Whether the metrics of this service are right, and if not, why: in plain words."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.core.checks import ERROR, WARNING, run_checks

from tachikoma_metrics import conf
from tachikoma_metrics.exposition.parse import parse_text
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE
from tachikoma_metrics.version import __version__

FINE, LOOK, WRONG = "fine", "look", "wrong"

_NEARLY_FULL = 0.8
_SLOW_PAGE_SECONDS = 1.0
_SECONDS_TO_ANSWER = 10

Samples = Mapping[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``fine``, to ``look`` at, or ``wrong``, with the remedy."""

    about: str
    state: str
    says: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON can have it."""
        return asdict(self)


def of_this_service() -> Iterator[Finding]:
    """Yield what can be found out from within: settings, the store, and a page made here."""
    if not conf.config().enabled:
        yield Finding(
            "settings", WRONG, "Nothing is measured: `ENABLED` is False.", "Set it to True."
        )
        return
    yield from _of_checks()
    yield _of_store()
    yield _of_access()
    began_at = time.perf_counter()
    page = METRICS.encode()
    yield _of_cost(time.perf_counter() - began_at, len(page))
    # This command is one of the processes.
    yield from _of_samples(parse_text(page), others=-1)


def of_server(url: str, token: str = "") -> Iterator[Finding]:
    """Yield what the page of a running server tells."""
    request = urllib.request.Request(url)  # noqa: S310  # Whoever asks for it names it.
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    began_at = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS_TO_ANSWER) as answer:  # noqa: S310
            page = answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            yield _of_refusal(error)
        return
    except (OSError, ValueError) as error:
        yield Finding(
            "page", WRONG, f"{url} cannot be read: {error}", "Look whether it runs there."
        )
        return
    seconds = time.perf_counter() - began_at
    yield from _of_page(page, seconds)


def _of_refusal(error: urllib.error.HTTPError) -> Finding:
    says = error.read(1000).decode("utf-8", "replace").strip().partition("\n")[0]
    return Finding(
        "page",
        WRONG,
        f"The page answers {error.code}: {says[:300]}",
        "Look at `PATH`, and at what the answer says; a token is given with --token.",
    )


def _of_page(page: str, seconds: float) -> Iterator[Finding]:
    try:
        samples = parse_text(page)
    except ValueError as error:
        yield Finding(
            "page", WRONG, f"This is no page of metrics: {error}", "Look at the path of the URL."
        )
        return
    yield _of_version(samples)
    yield _of_cost(seconds, len(page))
    yield from _of_samples(samples)


def _of_version(samples: Samples) -> Finding:
    versions = [
        dict(labels).get("version", "")
        for name, labels in samples
        if name == "tachikoma_metrics_info"
    ]
    if not versions:
        return Finding(
            "page",
            WRONG,
            "The page is not that of tachikoma_metrics.",
            "Look whether another page is at this path (`manage.py check` says so as W003).",
        )
    if versions != [__version__]:
        return Finding(
            "page",
            LOOK,
            f"The server has tachikoma_metrics {versions[0]}, and here is {__version__}.",
            "Restart the server.",
        )
    return Finding("page", FINE, f"The page is that of tachikoma_metrics {__version__}.")


# --- settings and surroundings ----------------------------------------------


def _of_checks() -> Iterator[Finding]:
    ours = [m for m in run_checks() if str(m.id).startswith("tachikoma_metrics.")]
    for message in ours:
        state = WRONG if message.level >= ERROR else LOOK if message.level >= WARNING else FINE
        yield Finding("settings", state, f"{message.msg} ({message.id})", message.hint or "")
    if not ours:
        yield Finding("settings", FINE, "The settings, the middleware and the routes are right.")


def _of_store() -> Finding:
    where = STORE.where()
    if not where:
        return Finding(
            "store",
            LOOK,
            "Values stay in the memory of each process.",
            "Each process has a page of its own; leave `STORE_DIR` at auto to have one for all.",
        )
    obstacle = STORE.obstacle()
    if obstacle is not None:
        return Finding("store", WRONG, f"No directory can be had: {obstacle}", "Set `STORE_DIR`.")
    return Finding("store", FINE, f"All processes share their values in {where[0]}.")


def _of_access() -> Finding:
    config = conf.config()
    rules = [f"networks {', '.join(config.allowed_networks) or 'none'}"]
    rules += [f"{len(config.tokens)} tokens"] if config.tokens else []
    rules += ["a permission"] if config.permission else []
    is_open = rules == ["networks *"]
    return Finding(
        "access",
        LOOK if is_open else FINE,
        f"The page may be read by: {'; '.join(rules)}.",
        "Whoever reaches the service reads its metrics; name networks, or set `TOKENS`."
        if is_open
        else "",
    )


# --- what the page says -----------------------------------------------------


def _of_cost(seconds: float, size: int) -> Finding:
    says = f"A page takes {seconds * 1000:.1f} ms and has {size / 1000:.1f} kB."
    if seconds < _SLOW_PAGE_SECONDS:
        return Finding("cost", FINE, says)
    return Finding("cost", LOOK, says, "Look for a collector, a cache or a database that is slow.")


def _of_samples(samples: Samples, others: int = 0) -> Iterator[Finding]:
    living = _sum(samples, "tachikoma_metrics_processes") + others
    yield Finding("processes", FINE, f"The page shows {living:.0f} living processes.")
    yield _of_faults(samples)
    yield from _of_series(samples)
    yield from _of_counts(samples)


def _of_faults(samples: Samples) -> Finding:
    faults = _by_label(samples, "tachikoma_metrics_errors_total", "source")
    if not any(faults.values()):
        return Finding("faults", FINE, "Nothing went wrong while measuring.")
    told = ", ".join(f"{number:.0f} in {source}" for source, number in faults.items() if number)
    return Finding("faults", LOOK, f"Faults so far: {told}.", "The log has the first of each kind.")


def _of_series(samples: Samples) -> Iterator[Finding]:
    limit = conf.config().max_series
    series = _by_label(samples, "tachikoma_metrics_series", "family")
    overflowing = _by_label(samples, "tachikoma_metrics_overflow_total", "family")
    full = {f: n for f, n in series.items() if overflowing.get(f) or n >= limit * _NEARLY_FULL}
    for family, number in full.items():
        yield Finding(
            "series",
            WRONG if overflowing.get(family) else LOOK,
            f"{family} has {number:.0f} label sets; `MAX_SERIES` is {limit} for each process.",
            "Drop a label with `LABELS`, or raise `MAX_SERIES`.",
        )
    if not full:
        most = max(series.values(), default=0.0)
        yield Finding("series", FINE, f"No family has more than {most:.0f} label sets of {limit}.")


def _of_counts(samples: Samples) -> Iterator[Finding]:
    config = conf.config()
    if not config.business_metrics:
        return
    age = time.time() - _sum(samples, "tachikoma_metrics_business_timestamp_seconds")
    failed = _sum(samples, "tachikoma_metrics_business_refresh_errors")
    remedy = "Run `manage.py refresh_business_metrics --every 30`, or Celery beat and a worker."
    if age > config.business_lifetime:
        says = "The business counts are too old, or there never were any."
        yield Finding("business", WRONG, says, remedy)
    elif failed:
        says = f"{failed:.0f} of the business counts could not be taken."
        yield Finding("business", WRONG, says, "`manage.py refresh_business_metrics` says why.")
    elif not _sum(samples, "tachikoma_metrics_business_up"):
        says = "The business counts cannot be read just now; the page has its last copy."
        yield Finding("business", LOOK, says, "Look whether the database answers.")
    else:
        yield Finding("business", FINE, f"The business counts are {age:.0f} seconds old.")


def _sum(samples: Samples, name: str) -> float:
    return sum(value for (found, _), value in samples.items() if found == name)


def _by_label(samples: Samples, name: str, label: str) -> dict[str, float]:
    return {
        dict(labels)[label]: value
        for (found, labels), value in samples.items()
        if found == name and label in dict(labels)
    }


def is_wrong(findings: Iterable[Finding]) -> bool:
    """Tell whether any of them is wrong."""
    return any(finding.state == WRONG for finding in findings)


def as_json(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return all of them as JSON can have them."""
    told = list(findings)
    return {"is_wrong": is_wrong(told), "findings": [finding.as_dict() for finding in told]}
