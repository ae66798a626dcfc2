"""When somebody has to be told, and what to do then: alerts and their runbook, as data.

Expressions are in the names of the catalogue; ``<service>`` stands for the labels that tell one
service from another. Who is paged is paged for what users feel; the rest are tickets.
https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Histogram
from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.recordings import failed_share, failures
from tachikoma_metrics.registry.shapes import shape_of

Severity = Literal["page", "ticket"]

FEWEST = 10
"""How many of a kind have to go wrong until it is more than bad luck of a quiet service."""


@dataclass(frozen=True)
class Runbook:
    """Tell what an alert means and what to do, in Markdown."""

    meaning: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Alert:
    """Tell somebody once ``expression`` has had a value for as long as ``after``."""

    name: str
    expression: str
    after: str
    severity: Severity
    summary: str
    runbook: Runbook
    labels: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)


class Burn(NamedTuple):
    """How fast the error budget burns: seen in a long window, and still in a short one."""

    long: str
    short: str
    rate: float
    after: str
    severity: Severity


BURNS = (
    Burn("1h", "5m", 14.4, "2m", "page"),
    Burn("6h", "30m", 6, "15m", "page"),
    Burn("1d", "2h", 3, "1h", "ticket"),
    Burn("3d", "6h", 1, "3h", "ticket"),
)
"""https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts"""


def alerts(config: Config, objectives: Objectives) -> Iterator[Alert]:
    """Yield all alerts."""
    yield from _of_error_budget(objectives)
    yield _of_slow_requests(config, objectives)
    yield from (_REQUESTS_STUCK, _REQUESTS_LOST)
    yield _of_slow_database(config)
    yield _of_connections(objectives)
    yield from (_BACKEND_ERRORS, _EXECUTIONS_FAILING)
    yield _of_stale_counts(config)
    yield from (_COUNTS_MISSING, _COUNTS_UNREADABLE, _COUNTS_FAILING)
    yield from (_UNREACHABLE, _FAULTS, _of_overflow(config), _PAGE_SLOW)


# --- HTTP -------------------------------------------------------------------

_BUDGET_BURNS = Runbook(
    "Requests fail, with a status of 500 or above, so fast that the error budget of thirty days "
    "does not last: at 14.4 times the sustainable rate it is gone in two days, at 1 in thirty. "
    "Seen in the long window, and still going on in the short one. A service with ten failures or "
    "fewer in the long window is left alone.",
    (
        "In *Failed requests by route* of the dashboard, see whether it is one route or all.",
        "One route: look for its exceptions in the log, and for a deploy at the time it began. "
        "Roll that back.",
        "All routes: look at *Open connections*, the errors of backends and the memory of the "
        "processes, for something that all of them need.",
        "If it is over, note how much of the budget went; the objective is `--objective`.",
    ),
)


def _of_error_budget(objectives: Objectives) -> Iterator[Alert]:
    for burn in BURNS:
        limit = f"{burn.rate:g} * {objectives.budget:.12g}"
        yield Alert(
            "DjangoErrorBudgetBurn",
            f"{failed_share(burn.long)} > {limit}\n"
            f"and {failed_share(burn.short)} > {limit}\n"
            f"and {failures(burn.long)} > {FEWEST}",
            burn.after,
            burn.severity,
            "{{ $labels.job }}: {{ $value | humanizePercentage }} of the requests "
            f"failed in {burn.long}.",
            _BUDGET_BURNS,
            labels=(("window", burn.long),),
        )


_SLOW = Runbook(
    "More than one request in twenty takes longer than it should.",
    (
        "In *95th percentile by route*, see which route it is, and in *Time spent by route* "
        "whether it matters.",
        "Compare it with *95th percentile by operation* of the database and *95th percentile by "
        "backend*: who is waited for?",
        "If everything is slow and nobody is waited for, look at the CPU: too few cores, or "
        "workers that compute.",
        "What is meant to be slow, such as an export, can be left out with `EXCLUDE_PATHS`. "
        "The limit is `--slow-after`.",
    ),
)


def _of_slow_requests(config: Config, objectives: Objectives) -> Alert:
    bound = slow_bound(config, objectives)
    return Alert(
        "DjangoRequestsSlow",
        _share_above(bound, "http_request_duration_seconds"),
        "10m",
        "ticket",
        "{{ $labels.job }}: {{ $value | humanizePercentage }} of the requests take longer than "
        f"{bound:g} s.",
        _SLOW,
    )


def slow_bound(config: Config, objectives: Objectives) -> float:
    """Return the bound of the bucket above which a request counts as slow, in seconds."""
    return _bound(catalogue.HTTP_REQUEST_DURATION, objectives.slow_after, config)


def _share_above(bound: float, histogram: str) -> str:
    """Return the share of what took longer than a bucket's bound, if it is more than 5 %."""
    below = f'sum by (<service>) (increase({histogram}_bucket{{le="{bound!r}"}}[10m]))'
    all_of_them = f"sum by (<service>) (increase({histogram}_count[10m]))"
    return f"1 - {below}\n  / {all_of_them}\n> 0.05\nand {all_of_them}\n  - {below}\n> {FEWEST}"


def _bound(histogram: Histogram, wanted: float, config: Config) -> float:
    """Return the bound of a bucket that is nearest above what is wanted, else the highest."""
    bounds = [float(bound) for bound in shape_of(histogram, config).buckets]
    return next((bound for bound in bounds if bound >= wanted), bounds[-1])


_REQUESTS_STUCK = Alert(
    "DjangoRequestsStuck",
    "sum by (<service>) (avg_over_time(http_requests_in_flight[10m]))\n"
    f"> {FEWEST} + 3 * sum by (<service>) (rate(http_request_duration_seconds_sum[10m]))\n"
    "and sum by (<service>) (avg_over_time(http_requests_in_flight[10m]))\n"
    "> 2 * sum by (<service>) (avg_over_time(http_requests_in_flight[1h] offset 15m))",
    "10m",
    "page",
    "{{ $labels.job }}: {{ $value | humanize }} requests are in flight, and few of them end.",
    Runbook(
        "Many more requests are being answered than the rate and the duration of those that "
        "ended explain (Little's law: on average, the seconds that requests took per second are "
        "the requests in flight), and more than twice as many as in the hour before. They hang.",
        (
            "Look at one of the processes: `py-spy dump --pid ...` shows what its threads wait "
            "for. Usually it is a database lock, or a backend that is called without a timeout.",
            "Give that call a timeout; restart the workers to get rid of what hangs.",
            "Streams that stay open for hours are in flight, too: if many more of them began just "
            "now, nothing is wrong. It is over by itself after an hour of that.",
        ),
    ),
)


def _risen(counter: str, label: str = "") -> str:
    """Return that a counter rose within an hour, or was not there before.

    What rises from nothing has no increase: the first value is the first that Prometheus sees.
    """
    by = f"sum by (<service>, {label})" if label else "sum by (<service>)"
    now, before = f"{by} ({counter})", f"{by} ({counter} offset 1h)"
    return f"{by} (increase({counter}[1h])) > 0\nor ({now} unless {before}) > 0"


_REQUESTS_LOST = Alert(
    "DjangoRequestsLost",
    _risen("http_requests_lost_total"),
    "1m",
    "ticket",
    "{{ $labels.job }}: processes died within the hour while they answered requests.",
    Runbook(
        "A process was killed while it answered requests, and their clients got no answer. No "
        "other metric of requests counts them. Usually the system ran out of memory, or the "
        "server killed a worker that took longer than its time limit.",
        (
            "See in *Lost requests* when it was and on which instance.",
            "Look for `oom-kill` in the log of the kernel, or for `OOMKilled` in the state of the "
            "container: then compare *Memory* with the limit.",
            "Look for `WORKER TIMEOUT` or the like in the log of the server: then find the slow "
            "request in *95th percentile by route*, or raise the time limit.",
            "If it was during a deployment, give the workers more time to finish (Gunicorn: "
            "`graceful_timeout`; Kubernetes: `terminationGracePeriodSeconds`).",
        ),
    ),
)

# --- database ---------------------------------------------------------------

_DATABASE_SLOW = Runbook(
    "More than one query in twenty takes longer than half a second.",
    (
        "In *95th percentile by operation*, see whether reads or writes are slow. Writes alone "
        "wait for locks: look for long transactions in the database.",
        "In *Queries by table*, look for a table that is asked far more than before.",
        "Have the database explain its slowest queries (PostgreSQL: `pg_stat_statements`).",
    ),
)


def _of_slow_database(config: Config) -> Alert:
    bound = _bound(catalogue.DB_QUERY_DURATION, 0.5, config)
    return Alert(
        "DjangoDatabaseSlow",
        _share_above(bound, "db_query_duration_seconds"),
        "10m",
        "ticket",
        "{{ $labels.job }}: {{ $value | humanizePercentage }} of the queries take longer than "
        f"{bound:g} s.",
        _DATABASE_SLOW,
    )


def _of_connections(objectives: Objectives) -> Alert:
    return Alert(
        "DjangoDatabaseConnectionsHigh",
        f"sum by (<service>) (db_connections_current) > {objectives.connections}",
        "10m",
        "ticket",
        "{{ $labels.job }} has {{ $value | humanize }} database connections open.",
        Runbook(
            "The service has more connections open than you said is good for the database. Most "
            "databases refuse one more than they allow, and then requests fail. Processes "
            "times threads times databases is what a service may open.",
            (
                "Compare the number with what the database allows (PostgreSQL: `SHOW "
                "max_connections`), and choose the alert's own by `--connections`.",
                "Were there more processes or threads started? Or does one of them never close: "
                "`CONN_MAX_AGE` in threads that come and go keeps one each.",
                "Use a pool: psycopg's by `OPTIONS`, or pgbouncer.",
            ),
        ),
    )


# --- backends and executions ------------------------------------------------


def _failing(failed: str, all_of_them: str) -> str:
    """Return the share of a backend's that fail: of an hour, and still now, and not just a few."""

    def share(window: str) -> str:
        return (
            f"sum by (<service>, backend) (increase({failed}[{window}]))\n"
            f"  / sum by (<service>, backend) (increase({all_of_them}[{window}]))\n> 0.1"
        )

    enough = f"sum by (<service>, backend) (increase({failed}[1h])) > {FEWEST}"
    return f"{share('1h')}\nand {share('5m')}\nand {enough}"


_BACKEND_ERRORS = Alert(
    "DjangoBackendErrors",
    _failing("backend_errors_total", "backend_requests_total"),
    "5m",
    "ticket",
    "{{ $labels.job }}: {{ $value | humanizePercentage }} of the requests to "
    "{{ $labels.backend }} fail.",
    Runbook(
        "More than one request in ten to a backend's API failed within an hour, and still does. "
        "Retries count, so its callers may not have noticed yet.",
        (
            "See in *Errors by type* which they are.",
            "`rate_limit`, `overloaded`: ask less, or ask for a higher limit. `authentication`, "
            "`permission`: a key has expired. `timeout`, `connection`: look at the way there, "
            "and at the status page of the backend.",
            "`invalid_request`, `unprocessable`, `not_found`: what we send is wrong, usually "
            "since a deploy.",
        ),
    ),
)

_EXECUTIONS_FAILING = Alert(
    "DjangoExecutionsFailing",
    _failing('executions_total{status=~"error|timeout"}', "executions_total"),
    "2m",
    "page",
    "{{ $labels.job }}: {{ $value | humanizePercentage }} of the executions by "
    "{{ $labels.backend }} fail.",
    Runbook(
        "More than one execution in ten ended in an error or a timeout within an hour, all "
        "retries included, and still does: somebody does not get what they asked for.",
        (
            "See in *Unsuccessful executions* whether it is one model or all.",
            "Compare with *Errors by type* of the backend. If there are none there, the error "
            "is in what our code makes of the answers: look into the log.",
            "Switch to another model or backend, if there is one.",
        ),
    ),
)

# --- business counts --------------------------------------------------------


def _of_stale_counts(config: Config) -> Alert:
    # Between the age of counts that are on time, and the one at which they are dropped.
    limit = (config.business_interval + config.business_lifetime) / 2
    return Alert(
        "DjangoBusinessCountsStale",
        f"time() - max by (<service>) (tachikoma_metrics_business_timestamp_seconds) > {limit:g}",
        "1m",
        "ticket",
        "{{ $labels.job }}: the business counts are {{ $value | humanizeDuration }} old.",
        Runbook(
            "Nobody has refreshed the business counts for far longer than `BUSINESS_INTERVAL`, "
            "half of the way to `BUSINESS_MAX_AGE`. There they are dropped from the page, so that "
            "nobody takes them for new.",
            (
                "Does what refreshes them live? Celery's beat and a worker, or `manage.py "
                "refresh_business_metrics --every ...`.",
                "Run `manage.py refresh_business_metrics` by hand: it says what is wrong, and "
                "how long it takes.",
                "If it is meant to be so seldom, set `BUSINESS_INTERVAL` to what it is.",
                "A refresh that takes longer than `BUSINESS_INTERVAL` is too much for the "
                "database: filter, or count more seldom.",
            ),
        ),
    )


_COUNTS_MISSING = Alert(
    "DjangoBusinessCountsMissing",
    "max by (<service>) (tachikoma_metrics_business_up)\n"
    "unless max by (<service>) (tachikoma_metrics_business_timestamp_seconds)",
    "10m",
    "ticket",
    "{{ $labels.job }} has no business counts.",
    Runbook(
        "Counts are declared in `BUSINESS_METRICS`, and there are none: nobody has refreshed them "
        "yet, or what kept them has lost them, as a cache may.",
        (
            "Run `manage.py refresh_business_metrics`: it says what is wrong.",
            "See that Celery's beat and a worker, or `manage.py refresh_business_metrics "
            "--every ...`, were started.",
        ),
    ),
)

_COUNTS_UNREADABLE = Alert(
    "DjangoBusinessCountsUnreadable",
    "max by (<service>) (tachikoma_metrics_business_up) == 0",
    "10m",
    "ticket",
    "{{ $labels.job }} cannot read its business counts, and shows its last copy.",
    Runbook(
        "No instance can read the snapshot of the business counts from where `BUSINESS_STORE` "
        "keeps it. The page shows the last copy of each process.",
        (
            "Does the database, or the cache, answer? Requests will be failing, too, if not.",
            "Was `manage.py migrate` run? The log names the error once.",
        ),
    ),
)

_COUNTS_FAILING = Alert(
    "DjangoBusinessCountsIncomplete",
    "max by (<service>) (tachikoma_metrics_business_refresh_errors) > 0",
    "15m",
    "ticket",
    "{{ $labels.job }}: {{ $value }} families of business counts cannot be counted.",
    Runbook(
        "A refresh goes on without the families that it cannot count. They keep their last "
        "counts until these are too old.",
        (
            "`manage.py refresh_business_metrics --dry-run` names them, and the error.",
            "`manage.py check` says which declarations cannot be right.",
        ),
    ),
)

# --- measuring --------------------------------------------------------------


_UNREACHABLE = Alert(
    "DjangoMetricsUnreachable",
    "avg by (job) (up) < 0.5\nand on (job) max_over_time(tachikoma_metrics_info[3d])",
    "5m",
    "page",
    "{{ $labels.job }}: more than half of the targets do not answer Prometheus.",
    Runbook(
        "More than half of the targets do not answer, of a job that had a page within the last "
        "three days. Either the service is down, or Prometheus may not or cannot read the page; "
        "then the other alerts see little or nothing.",
        (
            "Open *Status, Targets* of Prometheus: it says why.",
            "`connection refused`: the service is down, or listens elsewhere.",
            "`403`: the page is not for this address, see `ALLOWED_NETWORKS`. `401`: the token is "
            "missing or wrong, see `TOKENS`.",
            "`manage.py metrics_doctor --url ...` from that host says what is wrong.",
        ),
    ),
)

_FAULTS = Alert(
    "DjangoMetricsFaults",
    _risen("tachikoma_metrics_errors_total", "source"),
    "1m",
    "ticket",
    "{{ $labels.job }}: faults while measuring, in {{ $labels.source }}.",
    Runbook(
        "Something went wrong within the hour while measuring or serving the page. The service is "
        "unharmed, but "
        "numbers may be missing. `source` tells where.",
        (
            "Look for `Instrumentation error in ...` in the log of `tachikoma_metrics`: the first "
            "of each kind is there.",
            "`settings`: run `manage.py check`. `store`: see `manage.py metrics_doctor`. "
            "`business`, `cache`: somebody does not answer. Anything else: a collector or a "
            "callable of your own, or a mistake of ours to report.",
        ),
    ),
)

_FULL = Runbook(
    "The metric has as many label sets as `CARDINALITY_LIMIT` allows, in one process or "
    "in all of them "
    "together. What is new is counted under `overflow` in the labels that may have any value, such "
    "as `path`. Those of a short list, such as `method` and `status`, keep theirs: totals and "
    "rates of failure stay right, but which path they are of is not told.",
    (
        "Look at the values of its labels on the page: usually one of them is an id or a "
        "name that a client chooses.",
        "Leave that label out with `LABELS`, or have it take fewer values.",
        "If all of them are wanted, raise `CARDINALITY_LIMIT`. *Label sets by family* shows how "
        "full the others are.",
    ),
)


def _of_overflow(config: Config) -> Alert:
    risen = _risen("tachikoma_metrics_overflow_total", "family")
    full = "max by (<service>, family) (tachikoma_metrics_cardinality)"
    return Alert(
        "DjangoMetricsOverflow",
        f"{risen}\nor {full} >= {config.cardinality_limit}",
        "1m",
        "ticket",
        "{{ $labels.job }}: {{ $labels.family }} is full; new label sets are one, overflow.",
        _FULL,
    )


_PAGE_SLOW = Alert(
    "DjangoMetricsSlow",
    "max by (<service>) (tachikoma_metrics_scrape_duration_seconds) > 2",
    "15m",
    "ticket",
    "{{ $labels.job }}: the page takes {{ $value | humanizeDuration }} to make.",
    Runbook(
        "Making the page takes seconds. Prometheus gives up after `scrape_timeout`, ten seconds "
        "unless set.",
        (
            "A collector of your own or of a library may ask somebody who is slow. The log "
            "names one that took too long.",
            "Otherwise there are very many series: see *Label sets by family*.",
        ),
    ),
)
