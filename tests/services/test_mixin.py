"""The dashboards and alerts of django-mixin, answered by a real Prometheus from the view."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.services.mixin_queries import (
    A_WEEK_AGO,
    ALERTS,
    DASHBOARDS,
    LATENCY,
    OPERATIONS,
    REQUESTS,
    RESPONSES,
    VARIABLES,
    Panel,
    Query,
    Row,
)
from tests.services.processes import eventually, program
from tests.services.prometheus import PROMETHEUSES, Prometheus, running_prometheus
from tests.services.sites import Site, Visitor

CONFIGURATION = """
global:
  scrape_interval: 1s
  evaluation_interval: 1s
scrape_configs:
  - job_name: shop
    static_configs:
      - targets: ["127.0.0.1:{port}"]
        labels: {{cluster: north, namespace: market}}
"""
WEEK = 7 * 24 * 3600
SECONDS_UNTIL_ALL_HAPPENED = 30
SECONDS_BETWEEN_ROUNDS = 0.25

VISITS: list[tuple[str, str, str, int]] = [
    ("GET", "/", "home", 200),
    ("HEAD", "/", "home", 200),
    ("POST", "/orders/", "orders", 200),
    ("GET", "/archive/", "archive", 200),
    ("GET", "/mistakes/", "mistakes", 200),
    ("GET", "/cached/", "cached", 200),
    ("POST", "/upload/", "upload", 200),
    ("PUT", "/upload/", "upload", 200),
    ("GET", "/stream/", "stream", 200),
    ("GET", "/desk/200/", "desk", 200),
    ("GET", "/desk/302/", "desk", 302),
    ("GET", "/desk/404/", "desk", 404),
    ("DELETE", "/desk/500/", "desk", 500),
    ("GET", "/admin/200/", "admin:index", 200),
    ("GET", "/admin/404/", "admin:index", 404),
    ("GET", "/admin/500/", "admin:index", 500),
    ("GET", "/nowhere/", "<unnamed view>", 404),
]
"""Requests of one round: method, path, view and status."""

DATABASE = {"alias": "default", "vendor": "sqlite"}
MODELS: list[Row] = [{"model": "order"}, {"model": "parcel"}]
RESPONSE_ROWS: list[Row] = [
    {"method": method, "view": view, "status": str(status), "transport": "http"}
    for method, _, view, status in VISITS
]
LEDGER: dict[str, list[Row]] = {
    REQUESTS: [row for row in RESPONSE_ROWS if row["view"] != "<unnamed view>"],
    RESPONSES: RESPONSE_ROWS,
    LATENCY: RESPONSE_ROWS,
    # Those that state the length of their body.
    "django_http_requests_body_total_bytes": [
        {} for row in RESPONSE_ROWS if row["method"] in ("POST", "PUT")
    ],
    "django_http_exceptions_total_by_view_total": [{"view": "desk"}, {"view": "admin:index"}],
    "django_http_exceptions_total_by_type_total": [{"type": "ValueError"}] * 2,
    "django_http_responses_total_by_templatename_total": [{"templatename": "home.html"}] * 2,
    "django_db_errors_total": [
        {**DATABASE, "type": "IntegrityError"},
        {**DATABASE, "type": "OperationalError"},
    ],
    "django_cache_get_total": [{"backend": "filebased"}] * 2,
    "django_cache_get_hits_total": [{"backend": "filebased"}],
    "django_cache_get_misses_total": [{"backend": "filebased"}],
    **dict.fromkeys(OPERATIONS.values(), MODELS),
    # Of these, how many is not known beforehand.
    "django_db_execute_total": [DATABASE, {**DATABASE, "alias": "archive"}],
    "django_db_query_duration_seconds": [DATABASE, {**DATABASE, "alias": "archive"}],
    "django_db_new_connections_total": [DATABASE, {**DATABASE, "alias": "archive"}],
    "django_migrations_applied_total": [{"connection": "default"}],
    "django_migrations_unapplied_total": [{"connection": "default"}],
}
"""What happens in one round, by metric."""
UNCOUNTED = ("django_db_execute", "django_db_query", "django_db_new", "django_migrations")


class Shop(Site):
    """A copy of the site that used to be measured by django-prometheus."""

    package = "shop"

    def prepare(self) -> None:
        """Make the databases, but leave one migration to apply, and count that."""
        self.command("migrate", "--verbosity", "0", "--run-syncdb")
        self.command("migrate", "--verbosity", "0", "auth", "0011")
        self.command("refresh_business_metrics")


class Customers(Visitor):
    """Send one round of requests after the other."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.port = port
        self.rounds = 0
        self.surprises: list[str] = []

    def run(self) -> None:
        """Send the requests."""
        while not self.stopped.is_set():
            for method, path, _, status in VISITS:
                answered = self.request(method, path)
                if answered != status:
                    self.surprises.append(f"{method} {path}: {answered}")
            self.rounds += 1
            self.stopped.wait(SECONDS_BETWEEN_ROUNDS)

    def request(self, method: str, path: str) -> int:
        """Send one request; return the status of its response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, b"x" * 2000 if method == "POST" else None)
            with connection.getresponse() as response:
                response.read()
                return response.status


Answer = dict[tuple[str, ...], float]
"""Values by the labels that were asked for."""


@dataclass(frozen=True)
class Findings:
    """What a Prometheus answered: each panel while requests were sent, then what it had counted."""

    answers: dict[str, list[Answer]]
    counts: dict[str, Answer]
    choices: dict[tuple[str, str], set[str]]
    rounds: int


PANELS = {
    f"{dashboard}: {panel.name}": panel
    for dashboard, panels in {**DASHBOARDS, "alerts": ALERTS}.items()
    for panel in panels
}
QUERIES = {query.text: query for panel in PANELS.values() for query in panel.queries}
COUNTED = {
    query.text: query
    for query in QUERIES.values()
    if query.over and not query.metric.startswith(UNCOUNTED)
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Findings]]:
    """Run the shop, and ask each Prometheus that is installed all that there is to ask."""
    folder = tmp_path_factory.mktemp("mixin").resolve()
    shop = Shop(folder / "shop")
    with contextlib.ExitStack() as stack:
        stack.callback(shop.clear)
        shop.prepare()
        stack.enter_context(shop.gunicorn("--workers", "2"))
        configuration = CONFIGURATION.format(port=shop.port)
        asked = {
            name: stack.enter_context(running_prometheus(name, configuration, folder))
            for name in PROMETHEUSES
            if shutil.which(name)
        }
        customers = Customers(shop.port)
        customers.start()
        try:
            answers = {name: ask_panels(one) for name, one in asked.items()}
        finally:
            customers.stopped.set()
            customers.join()
        assert customers.surprises == []
        yield {
            name: Findings(
                answers[name], counts(one, customers.rounds), choices(one), customers.rounds
            )
            for name, one in asked.items()
        }


@pytest.fixture(params=PROMETHEUSES)
def findings(request: pytest.FixtureRequest, found: dict[str, Findings]) -> Findings:
    program(request.param)
    return found[request.param]


def ask_panels(prometheus: Prometheus) -> dict[str, list[Answer]]:
    """Return what each panel shows, once that is plausible; after a while, as it is."""
    answers: dict[str, list[Answer]] = {name: [] for name in PANELS}
    give_up_at = time.monotonic() + SECONDS_UNTIL_ALL_HAPPENED
    while time.monotonic() < give_up_at:
        left = [name for name, panel in PANELS.items() if faults(panel, answers[name])]
        if not left:
            break
        for name in left:
            answers[name] = ask(prometheus, PANELS[name])
        time.sleep(0.2)
    return answers


def ask(prometheus: Prometheus, panel: Panel) -> list[Answer]:
    """Return what the expressions of a panel find, without what has not happened."""
    answers = []
    for expression in panel.expressions:
        at = time.time() + (WEEK if A_WEEK_AGO in expression else 0)
        values = prometheus.values(expression, *labels_of(panel), at=at)
        answers.append({labels: value for labels, value in values.items() if value})
    return answers


def labels_of(panel: Panel) -> tuple[str, ...]:
    """Return the labels of what a panel shows that tell what happened, not where."""
    return (panel.made,) if panel.made else panel.queries[0].kept


def faults(panel: Panel, answers: list[Answer]) -> list[str]:
    """Return in what the answers differ from what a panel can show."""
    if len(answers) != len(panel.expressions):
        return ["not asked"]
    return [
        f"{expression} is {answer}, not by {wanted}"
        for expression, query, answer in zip(
            panel.expressions, panel.queries, answers, strict=False
        )
        for wanted in [expected(panel, query)]
        if answer.keys() != wanted or not all(0 < value <= panel.most for value in answer.values())
    ]


def expected(panel: Panel, query: Query) -> set[tuple[str, ...]]:
    """Return the label sets of what a query of a panel finds."""
    if panel.made:
        return {(group,) for group in panel.groups}
    return set(query.expected(LEDGER[query.metric]))


def counts(prometheus: Prometheus, rounds: int) -> dict[str, Answer]:
    """Return what Prometheus knows of each query's time series, once it knows of all requests."""
    everything = f"sum({RESPONSES})"
    eventually(lambda: prometheus.values(everything) == {(): rounds * len(VISITS)})
    return {text: prometheus.values(query.total, *query.kept) for text, query in COUNTED.items()}


def choices(prometheus: Prometheus) -> dict[tuple[str, str], set[str]]:
    """Return what a viewer can choose, by metric and label."""
    return {
        (metric, label): {
            value
            for (value,) in prometheus.values(
                f"group by ({label}) ({metric}{{{', '.join(where)}}})", label
            )
        }
        for (metric, label), where in VARIABLES.items()
    }


def test_all_panels_are_there():
    assert [len(panels) for panels in DASHBOARDS.values()] == [10, 17, 11, 10]
    assert len(PANELS) == 48 + len(ALERTS)


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_shows_what_happened(name: str, findings: Findings):
    assert faults(PANELS[name], findings.answers[name]) == []


@pytest.mark.parametrize("text", COUNTED)
def test_each_query_reads_the_counts_of_a_ledger(text: str, findings: Findings):
    query = COUNTED[text]
    happened = query.expected(LEDGER[query.metric])

    found = {labels: value for labels, value in findings.counts[text].items() if value}
    assert found == {labels: times * findings.rounds for labels, times in happened.items()}


def test_a_viewer_can_choose(findings: Findings):
    of_responses = {
        label: values for (name, label), values in findings.choices.items() if name == RESPONSES
    }
    of_models = {
        label: values for (name, label), values in findings.choices.items() if name != RESPONSES
    }

    target = {"cluster": {"north"}, "namespace": {"market"}, "job": {"shop"}}
    views = {view for _, _, view, _ in VISITS} - {"<unnamed view>"}
    methods = {method for method, _, _, _ in VISITS}
    assert of_responses == {**target, "view": views, "method": methods}
    assert of_models == {**target, "model": {"order", "parcel"}}
