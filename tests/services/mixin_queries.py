"""What the four dashboards and the alerts of django-mixin ask, as data.

By metric, labels, window and grouping, not as text: what each panel asks is compared with what
happened. Read on 2026-11-30.

https://github.com/adinhodovic/django-mixin
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

RATE_INTERVAL = "1m"
"""What Grafana fills in for the interval that the viewer's zoom asks for."""

SITE = ('cluster="north"', 'namespace="market"', 'job=~"shop"')
TARGET = ("namespace", "job")
"""Labels that Prometheus adds to what it scrapes."""

EXCLUDED = 'view!~"<unnamed view>|health_check:health_check_home|prometheus-django-metrics"'
ANY_VIEW, ANY_METHOD = 'view=~".+"', 'method=~".+"'
CHOSEN = (ANY_VIEW, EXCLUDED, ANY_METHOD)
ADMIN, NOT_ADMIN = 'view=~"admin.*"', 'view!~"admin.*"'

REQUESTS = "django_http_requests_total_by_view_transport_method_total"
RESPONSES = "django_http_responses_total_by_status_view_method_total"
LATENCY = "django_http_requests_latency_seconds_by_view_method"

MOST_SECONDS, MOST_BYTES = 10, 10_000
"""Bounds of buckets that no request of a test exceeds."""

Row = Mapping[str, str]
"""Something that happened, by the labels it is counted under."""

_MATCHER = re.compile(r'(\w+)(=~|!~|=|!=)"(.*)"')


def matches(matcher: str, row: Row) -> bool:
    """Return whether a label matcher of Prometheus's selects something that happened."""
    found = _MATCHER.fullmatch(matcher)
    assert found is not None, matcher
    name, operator, wanted = found.groups()
    is_equal = bool(re.fullmatch(wanted if "~" in operator else re.escape(wanted), row[name]))
    return is_equal is (operator[0] != "!")


@dataclass(frozen=True)
class Query:
    """A sum over label sets of one metric.

    ``over`` is the function of the ``window``, none for the present value. ``where`` selects
    label sets, ``by`` groups them. ``is_positive`` leaves out what has not changed; ``top``,
    ``quantile``, ``to`` (rounding) and ``ago`` (an offset) are what else is made of it.
    """

    metric: str
    over: str = "rate"
    window: str = RATE_INTERVAL
    where: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    aggregate: str = "sum"
    is_positive: bool = False
    quantile: float | None = None
    top: int | None = None
    to: str | None = None
    ago: str = ""

    @property
    def selector(self) -> str:
        """Return what selects the time series."""
        suffix = "" if self.quantile is None else "_bucket"
        return f"{self.metric}{suffix}{{{', '.join((*SITE, *self.where))}}}"

    @property
    def text(self) -> str:
        """Return the query as Prometheus reads it."""
        text = self.selector
        if self.over:
            text = f"{self.over}({text}[{self.window}]{self.ago})"
        if self.is_positive:
            text += " > 0"
        grouping = self.by if self.quantile is None else (*self.by, "le")
        text = f"{self.aggregate} by ({', '.join(grouping)}) ({text})"
        if self.quantile is not None:
            text = f"histogram_quantile({self.quantile}, {text})"
        if self.top is not None:
            text = f"topk({self.top}, {text})"
        return text if self.to is None else f"round({text}, {self.to})"

    @property
    def total(self) -> str:
        """Return the query of what was counted so far, without functions of time."""
        suffix = "" if self.quantile is None else "_count"
        where = ", ".join((*SITE, *self.where))
        return f"sum by ({', '.join(self.by)}) ({self.metric}{suffix}{{{where}}})"

    @property
    def kept(self) -> tuple[str, ...]:
        """Return the labels of the result that tell what happened, not where."""
        return tuple(name for name in self.by if name not in ("cluster", *TARGET))

    def expected(self, rows: Iterable[Row]) -> Counter[tuple[str, ...]]:
        """Return how often what it selects happened, by the labels that it keeps."""
        return Counter(
            tuple(row[name] for name in self.kept)
            for row in rows
            if all(matches(matcher, row) for matcher in self.where)
        )


@dataclass(frozen=True)
class Panel:
    """A panel: what it shows, from which queries.

    ``text`` has ``{0}`` for the first query and so on; without it each query stands for itself.
    ``made`` is the label that the text makes, ``groups`` are its values. No value can be above
    ``most``.
    """

    name: str
    queries: tuple[Query, ...]
    text: str = ""
    made: str = ""
    groups: tuple[str, ...] = ()
    most: float = math.inf

    @property
    def expressions(self) -> list[str]:
        """Return what Prometheus is asked."""
        texts = [query.text for query in self.queries]
        return [self.text.format(*texts)] if self.text else texts


def by_status(query: Query, *digits: str) -> tuple[Query, ...]:
    """Return a query for each class of status."""
    return tuple(
        replace(query, where=(*query.where, f'status=~"{digit}.*"'), is_positive=True, to="0.001")
        for digit in digits
    )


def quantiles(query: Query, *of: float) -> tuple[Query, ...]:
    """Return a query for each quantile."""
    return tuple(replace(query, quantile=quantile) for quantile in of)


def share(part: Query, *excluded: str) -> tuple[Query, Query]:
    """Return two queries, of which the first leaves out some label sets of the second."""
    return replace(part, where=(*part.where, *excluded)), part


_SHARE = "{0} / {1}"
_NO_ERROR, _NO_SERVER_ERROR = 'status!~"[4-5].*"', 'status!~"5.*"'
_BY_JOB = ("job",)
_CACHE = Query("django_cache_get_total", by=TARGET, window="30m")

OVERVIEW = (
    Panel("request volume", (Query(REQUESTS, where=(EXCLUDED,), to="0.001"),)),
    Panel("database operations", (Query("django_db_execute_total", by=TARGET),)),
    Panel(
        "cache hit rate",
        (replace(_CACHE, metric="django_cache_get_hits_total"), _CACHE),
        _SHARE,
        most=1,
    ),
    Panel(
        "responses",
        by_status(Query(RESPONSES, where=(EXCLUDED,), by=_BY_JOB), "2", "3", "4", "5"),
    ),
    *(
        Panel(
            f"migrations {state}",
            (Query(f"django_migrations_{state}_total", over="", by=TARGET, aggregate="max"),),
        )
        for state in ("applied", "unapplied")
    ),
    Panel(
        "database connections",
        (
            Query(
                "django_db_new_connections_total",
                over="increase",
                by=(*TARGET, "vendor"),
                is_positive=True,
                to="1",
            ),
        ),
    ),
    Panel(
        "database latency",
        quantiles(
            Query(
                "django_db_query_duration_seconds",
                over="irate",
                by=("vendor", *TARGET),
                is_positive=True,
            ),
            *(0.5, 0.95, 0.99, 0.999),
        ),
        most=MOST_SECONDS,
    ),
    Panel(
        "top database errors",
        (
            Query(
                "django_db_errors_total",
                over="increase",
                window="1w",
                by=("type",),
                is_positive=True,
                top=10,
                to="1",
            ),
        ),
    ),
    Panel(
        "cache gets",
        tuple(
            Query(f"django_cache_get_{what}_total", by=(*TARGET, "backend"), is_positive=True)
            for what in ("hits", "misses")
        ),
    ),
)


def _of_views(*where: str) -> tuple[Panel, Panel]:
    """Return the panels of the views that are the admin's, or are not."""
    responses = Query(RESPONSES, where=(*CHOSEN, *where), by=(*TARGET, "view"))
    latency = replace(responses, metric=LATENCY, window="1h", is_positive=True)
    return (
        Panel(f"responses, {where[0]}", by_status(responses, "2", "4", "5")),
        Panel(f"latency, {where[0]}", quantiles(latency, 0.5, 0.95, 0.99), most=MOST_SECONDS),
    )


_OF_THE_WEEK = Query(
    RESPONSES, over="increase", window="1w", by=(*TARGET, "view"), is_positive=True, top=10, to="1"
)
_CHOSEN_RESPONSES = Query(RESPONSES, where=CHOSEN)

REQUESTS_OVERVIEW = (
    Panel("request volume", (Query(REQUESTS, where=CHOSEN, to="0.001"),)),
    Panel("success without 4xx", share(_CHOSEN_RESPONSES, _NO_ERROR), _SHARE, most=1),
    Panel("success with 4xx", share(_CHOSEN_RESPONSES, _NO_SERVER_ERROR), _SHARE, most=1),
    Panel(
        "latency",
        quantiles(Query(LATENCY, over="irate", where=(ANY_VIEW, EXCLUDED), by=_BY_JOB), 0.95),
        most=MOST_SECONDS,
    ),
    Panel(
        "request body size",
        quantiles(Query("django_http_requests_body_total_bytes", by=_BY_JOB), 0.95),
        most=MOST_BYTES,
    ),
    Panel(
        "exceptions",
        (
            Query(
                "django_http_exceptions_total_by_view_total",
                over="increase",
                window="1h",
                where=(EXCLUDED,),
                to="0.001",
            ),
        ),
    ),
    Panel("methods", (Query(REQUESTS, window="1h", where=(EXCLUDED,), by=("method",)),)),
    Panel(
        "classes of status",
        (replace(_CHOSEN_RESPONSES, window="1h", by=("status",)),),
        'sum by (class) (label_replace({0}, "class", "${{1}}xx", "status", "([0-9]).*"))',
        made="class",
        groups=("2xx", "3xx", "4xx", "5xx"),
    ),
    Panel("views", (Query(REQUESTS, window="1h", where=(EXCLUDED,), by=("view",), top=10),)),
    *_of_views(NOT_ADMIN),
    *_of_views(ADMIN),
    Panel(
        "top exceptions by view",
        (
            replace(
                _OF_THE_WEEK, metric="django_http_exceptions_total_by_view_total", where=(EXCLUDED,)
            ),
        ),
    ),
    Panel(
        "top exceptions by type",
        (
            replace(
                _OF_THE_WEEK,
                metric="django_http_exceptions_total_by_type_total",
                by=(*TARGET, "type"),
            ),
        ),
    ),
    Panel("top responses by view", (replace(_OF_THE_WEEK, where=(EXCLUDED,)),)),
    Panel(
        "top templates",
        (
            replace(
                _OF_THE_WEEK,
                metric="django_http_responses_total_by_templatename_total",
                where=("templatename!~\".*'health_check/index.html'.*|None\"",),
                by=(*TARGET, "templatename"),
            ),
        ),
    ),
)

_CHOSEN_REQUESTS = Query(REQUESTS, where=CHOSEN, by=_BY_JOB)
_CHANGING = replace(_CHOSEN_REQUESTS, is_positive=True, to="0.001")
_CHOSEN_LATENCY = Query(LATENCY, where=CHOSEN, by=_BY_JOB)
A_WEEK_AGO = " offset 1w"

REQUESTS_BY_VIEW = (
    Panel("views", (Query(REQUESTS, window="1h", where=(EXCLUDED, ANY_METHOD), by=("view",)),)),
    Panel("methods", (Query(REQUESTS, window="1h", where=(EXCLUDED,), by=("method",)),)),
    Panel(
        "statuses",
        (Query(RESPONSES, window="1h", where=(EXCLUDED, ANY_METHOD), by=("status",)),),
    ),
    Panel("requests", (_CHANGING,)),
    Panel("latency", quantiles(_CHOSEN_LATENCY, 0.5, 0.95, 0.99), most=MOST_SECONDS),
    Panel("requests a week ago", (replace(_CHANGING, ago=A_WEEK_AGO),)),
    Panel(
        "latency a week ago",
        quantiles(replace(_CHOSEN_LATENCY, ago=A_WEEK_AGO), 0.5, 0.95, 0.99),
        most=MOST_SECONDS,
    ),
    Panel("success with 4xx", share(_CHOSEN_RESPONSES, _NO_SERVER_ERROR), _SHARE, most=1),
    Panel("success without 4xx", share(_CHOSEN_RESPONSES, _NO_ERROR), _SHARE, most=1),
    *(
        Panel(
            f"requests beside the average of {hours}",
            (_CHANGING, _CHOSEN_REQUESTS),
            f"{{0}} / clamp_min(avg_over_time(({{1}})[{hours}:]), 0.001) * 100",
        )
        for hours in ("1d", "1h")
    ),
)

OPERATIONS = {what: f"django_model_{what}_total" for what in ("inserts", "updates", "deletes")}

MODELS = (
    Panel(
        "operations",
        tuple(Query(metric, window="1h", by=("model",)) for metric in OPERATIONS.values()),
        "sum by (operation) ("
        + " or ".join(
            f'label_replace({{{number}}}, "operation", "{what}", "", ".*")'
            for number, what in enumerate(OPERATIONS)
        )
        + ")",
        made="operation",
        groups=tuple(OPERATIONS),
    ),
    *(
        Panel(f"{what} by model", (Query(metric, window="1h", by=("model",), top=20),))
        for what, metric in OPERATIONS.items()
    ),
    *(
        Panel(
            f"{what} over time",
            (Query(metric, where=('model=~".+"',), by=(*TARGET, "model"), to="0.001"),),
        )
        for what, metric in OPERATIONS.items()
    ),
    *(
        Panel(
            f"top models by {what}",
            (replace(_OF_THE_WEEK, metric=metric, by=(*TARGET, "model")),),
        )
        for what, metric in OPERATIONS.items()
    ),
)

DASHBOARDS = {
    "overview": OVERVIEW,
    "requests overview": REQUESTS_OVERVIEW,
    "requests by view": REQUESTS_BY_VIEW,
    "models": MODELS,
}

VARIABLES = {
    (RESPONSES, label): (EXCLUDED,) if label == "view" else ()
    for label in ("cluster", "namespace", "job", "view", "method")
} | {(OPERATIONS["inserts"], label): () for label in ("cluster", "namespace", "job", "model")}
"""The labels whose values a viewer chooses from: by metric and label, what selects them."""

_BY_VIEW = ("cluster", *TARGET, "view")


def _errors(digit: str) -> Panel:
    responses = Query(RESPONSES, window="5m", where=(EXCLUDED,), by=_BY_VIEW)
    failed = replace(responses, where=(f'status=~"{digit}.*"', EXCLUDED))
    return Panel(f"{digit}xx", (failed, responses), "{0} / {1} * 100 > 5")


ALERTS = (
    Panel(
        "migrations unapplied",
        (Query("django_migrations_unapplied_total", over="", by=("cluster", *TARGET)),),
        "{0} > 0",
    ),
    Panel(
        "database errors",
        (
            Query(
                "django_db_errors_total",
                over="increase",
                window="10m",
                by=("cluster", "type", *TARGET),
            ),
        ),
        "{0} > 0",
    ),
    _errors("4"),
    _errors("5"),
)
