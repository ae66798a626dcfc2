"""Whether the metrics of this service are right, and if not, why: in plain words."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Any

from django.core.checks import ERROR, WARNING, run_checks

from tachikoma_metrics import business, conf
from tachikoma_metrics.checks import is_open
from tachikoma_metrics.doctor import scraping
from tachikoma_metrics.exposition.parse import parse_text
from tachikoma_metrics.page import bearer_tokens
from tachikoma_metrics.registry import METRICS, directories
from tachikoma_metrics.store import STORE, Exposed, Incomplete
from tachikoma_metrics.version import __version__

FINE, LOOK, WRONG = "fine", "look", "wrong"

_NEARLY_FULL = 0.8
_SLOW_PAGE_SECONDS = 1.0

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


def of_this_service(*, ends_afterwards: bool = False) -> Iterator[Finding]:
    """Yield what can be found out from within: settings, the store, and a page made here.

    A process that ``ends_afterwards`` leaves no directory where the service has none.
    """
    if not conf.config().enabled:
        yield Finding(
            "settings", WRONG, "Nothing is measured: `ENABLED` is False.", "Set it to True."
        )
        return
    yield from _of_checks()
    METRICS.settings_were_reported()
    yield _of_store()
    yield from _of_other_layouts()
    yield _of_access()
    if ends_afterwards and not any(map(os.path.isdir, STORE.where())):
        STORE.leave()
    began_at = time.perf_counter()
    try:
        page = METRICS.encode()
    except Incomplete as error:
        yield Finding("page", WRONG, str(error), _REMEDIES_BY_REASON["cannot be read"])
        return
    yield _of_cost(time.perf_counter() - began_at, len(page))
    # This command is one of the processes.
    yield from _of_samples(parse_text(page), others=-1)


def of_server(
    url: str, token: str = "", seconds: float = scraping.TIMEOUT_SECONDS
) -> Iterator[Finding]:
    """Yield what the page of a running server tells.

    Without a ``token``, the first of those in ``TOKENS`` is sent. It goes to the host of the
    URL, and no redirect is followed.
    """
    token = token or next(iter(bearer_tokens.readable(conf.config())), "")
    try:
        answer = scraping.ask(url, token, seconds)
    except scraping.NoAnswer as error:
        yield Finding("page", WRONG, str(error), error.remedy)
        return
    if answer.status == HTTPStatus.OK:
        yield from _of_page(answer.body, answer.seconds)
    else:
        yield _of_refusal(answer, has_token=bool(token))


def _of_refusal(answer: scraping.Answer, has_token: bool) -> Finding:
    if answer.location:
        return Finding(
            "page",
            WRONG,
            f"The endpoint answers {answer.status}, a redirect to {answer.location[:300]}",
            "Ask that URL, if it is that of the metrics endpoint; a redirect is not followed, so "
            "that a token goes nowhere else.",
        )
    says = answer.body.strip().partition("\n")[0]
    remedy = _REMEDIES.get(answer.status, f"Check the path of the URL; {_path()}.")
    if answer.status in (HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE):
        remedy = next((its for part, its in _REMEDIES_BY_REASON.items() if part in says), remedy)
    if answer.status == HTTPStatus.UNAUTHORIZED and has_token:
        remedy = "The server has other `TOKENS` than the one that was sent. " + remedy
    return Finding("page", WRONG, f"The endpoint answers {answer.status}: {says[:300]}", remedy)


_REMEDIES: dict[int, str] = {
    401: "Give one of the server's `TOKENS` in a file, with --token-file, or in the environment "
    "variable TACHIKOMA_METRICS_TOKEN.",
    403: "Ask from an address in the server's `ALLOWED_NETWORKS`, or set `TOKENS`.",
    503: "Look at what is in front of the server, or ask again: this is no answer for long.",
}


_REMEDIES_BY_REASON: dict[str, str] = {
    "PERMISSION rejected": "The server's `PERMISSION` returned something other than True, or "
    "raised, which the server's log tells. Networks and tokens have admitted this request.",
    "access setting is invalid": "Run `manage.py check` where the server runs.",
    "could not be decided": "The server's log has the exception.",
    "have counted cannot be read": "The worker processes share no directory: run `manage.py check` "
    "where the server runs. Totals of one of them alone would seem to fall.",
    "cannot be read": "Ask again. If the answer stays, remove what the message says: raise the "
    "limit of open files, or give the directory room. Incomplete totals would seem to fall.",
    "too many connections": "Ask again: `WORKER_PORT` answers sixteen at a time.",
}
"""What to do about an answer 403 or 503 that has such a part; the first of them counts."""


def _path() -> str:
    path = conf.config().path
    return "`PATH` is None, so the URLconf says" if path is None else f"`PATH` is {path}"


def _of_page(page: str, seconds: float) -> Iterator[Finding]:
    remedy = f"Check the path of the URL; {_path()}."
    try:
        samples = parse_text(page)
    except Exception:
        # The parser has its own ways to fail at what is no page at all.
        says = "The answer is not in the text format of Prometheus."
        yield Finding("page", WRONG, says, remedy)
        return
    versions = [
        dict(labels).get("version", "")
        for name, labels in samples
        if name == "tachikoma_metrics_info"
    ]
    if not versions:
        says = "The endpoint is not that of tachikoma_metrics: it has no tachikoma_metrics_info."
        yield Finding("page", WRONG, says, remedy)
        return
    yield _of_version(versions)
    yield _of_cost(seconds, len(page))
    yield from _of_samples(samples)


def _of_version(versions: list[str]) -> Finding:
    if versions == [__version__]:
        return Finding("page", FINE, f"The endpoint serves tachikoma_metrics {__version__}.")
    served = ", ".join(sorted(versions))[:100]
    return Finding(
        "page",
        LOOK,
        f"The server has tachikoma_metrics {served}, and here is {__version__}.",
        "Restart the server.",
    )


# --- settings and surroundings ----------------------------------------------


def _of_checks() -> Iterator[Finding]:
    ours = [
        message
        for message in run_checks()
        if str(message.id).startswith("tachikoma_metrics.") and not message.is_silenced()
    ]
    for message in ours:
        state = WRONG if message.level >= ERROR else LOOK if message.level >= WARNING else FINE
        yield Finding("settings", state, f"{message.msg} ({message.id})", message.hint or "")
    if not ours:
        yield Finding("settings", FINE, "The checks found nothing wrong.")


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
    if isinstance(obstacle, Exposed):
        return Finding("store", LOOK, str(obstacle), "Set `STORE_DIR`.")
    if obstacle is not None:
        return Finding("store", WRONG, f"No directory can be had: {obstacle}", "Set `STORE_DIR`.")
    return Finding("store", FINE, f"All processes share their values in {where[0]}.")


def _of_other_layouts() -> Iterator[Finding]:
    found = dict(directories.of_other_layouts())
    in_use = [path for path, is_held in found.items() if is_held]
    if in_use:
        yield Finding(
            "layout",
            LOOK,
            "Processes of this service run another version of tachikoma_metrics, and share their "
            f"values in {', '.join(in_use)}: their metrics endpoint shows other values.",
            "Restart them.",
        )
    elif found:
        yield Finding(
            "layout",
            FINE,
            f"Another version of tachikoma_metrics left {', '.join(found)}, which no process "
            "uses. Counters have started at zero since.",
        )


def _of_access() -> Finding:
    config = conf.config()
    unreadable = bearer_tokens.unreadable(config)
    if unreadable:
        return Finding(
            "access",
            WRONG,
            f"A file of `TOKENS` gives no token: {'; '.join(unreadable)}.",
            "Make it readable for the user that the service runs as, with a token in each line.",
        )
    rules = [f"networks {', '.join(config.allowed_networks) or 'none'}"]
    rules += [numbered(len(bearer_tokens.readable(config)), "token")] if config.tokens else []
    rules += ["a permission"] if config.permission else []
    says = f"The endpoint may be read by: {'; '.join(rules)}."
    if not is_open(config):
        return Finding("access", FINE, says)
    remedy = "Whoever reaches the service reads its metrics; name networks, or set `TOKENS`."
    return Finding("access", LOOK, says, remedy)


# --- what the page says -----------------------------------------------------


def _of_cost(seconds: float, size: int) -> Finding:
    says = f"Scrape: {seconds * 1000:.1f} ms, {size / 1000:.1f} kB."
    if seconds < _SLOW_PAGE_SECONDS:
        return Finding("cost", FINE, says)
    return Finding("cost", LOOK, says, "Look for a collector, a cache or a database that is slow.")


def _of_samples(samples: Samples, others: int = 0) -> Iterator[Finding]:
    yield _of_processes(_sum(samples, "tachikoma_metrics_processes") + others)
    yield _of_faults(samples)
    yield from _of_series(samples)
    yield from _of_counts(samples)


def _of_processes(number: float) -> Finding:
    if number > 0:
        return Finding("processes", FINE, f"{numbered(number, 'live process', 'es')}.")
    return Finding(
        "processes",
        LOOK,
        "0 live processes: none of the service's shares its metrics with this command.",
        "Start the server. If it runs: on this host, as this user, with this settings module "
        "from this folder, and the same `STORE_DIR`?",
    )


def numbered(number: float, noun: str, plural: str = "s") -> str:
    """Return a number with its noun: ``1 token``, ``2 tokens``."""
    return f"{number:.0f} {noun}" if number == 1 else f"{number:.0f} {noun}{plural}"


def _of_faults(samples: Samples) -> Finding:
    faults = _by_label(samples, "tachikoma_metrics_errors_total", "source")
    if not any(faults.values()):
        return Finding("faults", FINE, "No instrumentation errors.")
    told = ", ".join(f"{number:.0f} in {source}" for source, number in faults.items() if number)
    total = numbered(sum(faults.values()), "instrumentation error")
    return Finding(
        "faults", LOOK, f"{total} so far: {told}.", "The log has the first of each kind."
    )


def _of_series(samples: Samples) -> Iterator[Finding]:
    limit = conf.config().cardinality_limit
    series = _by_label(samples, "tachikoma_metrics_cardinality", "family")
    overflowing = _by_label(samples, "tachikoma_metrics_overflow_total", "family")
    full = {f: n for f, n in series.items() if overflowing.get(f) or n >= limit * _NEARLY_FULL}
    for family, number in full.items():
        yield Finding(
            "series",
            WRONG if overflowing.get(family) or number >= limit else LOOK,
            f"{family} has {numbered(number, 'label set')}; `CARDINALITY_LIMIT` is {limit}.",
            "Drop a label with `LABELS`, or raise `CARDINALITY_LIMIT`.",
        )
    if not full:
        most = max(series.values(), default=0.0)
        says = f"At most {numbered(most, 'label set')} in a metric; `CARDINALITY_LIMIT` is {limit}."
        yield Finding("series", FINE, says)


def _of_counts(samples: Samples) -> Iterator[Finding]:
    config = conf.config()
    if not config.has_business_metrics:
        return
    age = time.time() - _sum(samples, "tachikoma_metrics_business_timestamp_seconds")
    failed = _sum(samples, "tachikoma_metrics_business_refresh_errors")
    is_up = bool(_sum(samples, "tachikoma_metrics_business_up"))
    if not is_up and business.lacks_table() is not None:
        says = "The database has no table for the business metrics."
        yield Finding("business", WRONG, says, "Run `manage.py migrate`.")
    elif age > config.business_lifetime:
        says = "The business metrics are too old, or there never were any."
        remedy = "Run `manage.py refresh_business_metrics --every 30`, or Celery beat and a worker."
        yield Finding("business", WRONG, says, f"{remedy} Before the first: `manage.py migrate`.")
    elif failed:
        says = f"{numbered(failed, 'business metric')} could not be counted."
        yield Finding("business", WRONG, says, "`manage.py refresh_business_metrics` says why.")
    elif not is_up:
        says = "The business metrics cannot be read just now; the endpoint shows its last copy."
        yield Finding("business", LOOK, says, "Check that the database answers.")
    else:
        yield Finding("business", FINE, f"The business metrics are {numbered(age, 'second')} old.")


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
