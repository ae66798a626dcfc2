"""Real Prometheus servers scrape the example, served by gunicorn."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from tachikoma_metrics import METRICS
from tachikoma_metrics.catalogue import FAMILIES
from tests.services.conftest import GUNICORN, Server, environment_with, serving
from tests.services.processes import eventually, get, program
from tests.services.prometheus import Prometheus, Promtool, running_prometheus, scraping
from tests.services.relay import Relay, relaying


@pytest.fixture(scope="module")
def example(seeded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("example")
    database = Path(shutil.copy(seeded, folder))
    with serving(GUNICORN, environment_with(database), folder) as server:
        yield server


@pytest.fixture(scope="module")
def prometheuses(
    example: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Prometheus]]:
    """Run each Prometheus, which all scrape the example."""
    with scraping(example.port, tmp_path_factory.mktemp("prometheus")) as asked:
        is_up = {("tachikoma",): 1.0}
        eventually(lambda: all(one.values("up", "job") == is_up for one in asked.values()))
        yield asked


@pytest.fixture(scope="module")
def sent(example: Server, prometheuses: dict[str, Prometheus]) -> Counter[tuple[str, str, str]]:
    """Send the requests, once for all that scrape; return how many there were of each kind."""
    return send(example)


def send(server: Server) -> Counter[tuple[str, str, str]]:
    """Send requests of many kinds; return how many by method, route and status."""
    listed = json.loads(get(f"{server.url}/api/v1/missions/")[1])["missions"]
    sent = Counter({("GET", "/api/v1/missions/", "200"): 1})
    kinds = [
        ("/api/v1/missions/", "/api/v1/missions/", 200, 7),
        ("/api/v1/missions/{id}/", "/api/v1/missions/:id/", 200, 5),
        ("/api/v1/missions/{id}/specs/", "/api/v1/missions/:id/specs/", 200, 4),
        ("/api/v1/missions/{id}/export/", "/api/v1/missions/:id/export/", 200, 6),
        (
            "/api/v1/missions/00000000-0000-0000-0000-000000000000/",
            "/api/v1/missions/:id/",
            404,
            3,
        ),
        ("/api/v1/broken/", "/api/v1/broken/", 500, 2),
        ("/api/v1/specs/not-a-uuid/", "<unmatched>", 404, 2),
        ("/no/such/page/", "<unmatched>", 404, 3),
        ("/admin/", "/admin/", 302, 1),
        ("/admin/login/", "/admin/login/", 200, 1),
    ]
    for url, path, status, times in kinds:
        for number in range(times):
            mission = listed[number % len(listed)]["id"]
            followed, _ = get(server.url + url.format(id=mission))
            assert followed == status or status == 302
            sent["GET", path, str(status)] += 1
    # urllib follows the redirect of /admin/ to the login page.
    sent["GET", "/admin/login/", "200"] += 1
    return sent


def test_prometheus_knows_what_the_client_sent(
    prometheus: Prometheus, sent: Counter[tuple[str, str, str]]
):
    def has_all() -> bool:
        total = prometheus.values("sum(http_requests_total)")
        return total == {(): float(sum(sent.values()))}

    eventually(has_all)
    by_all = prometheus.values("http_requests_total > 0", "method", "path", "status")
    assert by_all == dict(sent)
    by_path: Counter[tuple[str]] = Counter()
    for (_, path, _), times in sent.items():
        by_path[(path,)] += times
    assert prometheus.values("sum by (path) (http_requests_total)", "path") == dict(by_path)
    durations = "sum by (path) (http_request_duration_seconds_count)"
    assert prometheus.values(durations, "path") == dict(by_path)
    assert prometheus.values("http_requests_in_flight") == {(): 0.0}
    assert prometheus.values("count(django_model_inserts_total)") == {(): 3.0}
    assert prometheus.values("tachikoma_metrics_errors_total > 0") == {}


def complaints(promtool: Promtool, page: str) -> list[str]:
    """Return what promtool has to say of a page."""
    checked = promtool.run("check", "metrics", given=page)
    return sorted((checked.stdout + checked.stderr).strip().splitlines())


@pytest.mark.usefixtures("sent")
def test_promtool_finds_nothing_on_the_page_of_the_example(
    each_promtool: Promtool, example: Server
):
    assert complaints(each_promtool, example.page()) == []


def test_promtool_finds_nothing_but_the_names_the_specification_wants(each_promtool: Promtool):
    opt_in = [name for name, family in FAMILIES.items() if family.opt_in]
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": opt_in}):
        for name, family in FAMILIES.items():
            metric = getattr(METRICS, name)
            series = metric.labels(*family.label_names) if family.labels else metric
            change = {"counter": "inc", "gauge": "set", "histogram": "observe"}[family.type]
            getattr(series, change)(1)

        found = complaints(each_promtool, METRICS.encode())

    complaint = 'non-counter metrics should not have "_total" suffix'
    assert found == [f"missions_total {complaint}", f"specs_total {complaint}"]


USUAL: dict[str, dict[str, Any]] = {"usual": {}}
NATIVE = "--enable-feature=native-histograms"
PROTOCOLS = [
    "PrometheusProto",
    "PrometheusText0.0.4",
    "PrometheusText1.0.0",
    "OpenMetricsText0.0.1",
    "OpenMetricsText1.0.0",
]
SCHEMES = ["allow-utf-8", "dots", "values"]


@dataclass(frozen=True)
class Scraper:
    """A Prometheus, and the ways in which it is configured to scrape."""

    name: str
    jobs: dict[str, dict[str, Any]]
    options: tuple[str, ...] = ()


SCRAPERS = {
    "2": Scraper("prometheus", USUAL),
    "2-native": Scraper("prometheus", USUAL, (NATIVE,)),
    "3-native": Scraper("prometheus3", USUAL, (NATIVE,)),
    "3": Scraper(
        "prometheus3",
        {
            **USUAL,
            "underscores": {
                "metric_name_validation_scheme": "legacy",
                "metric_name_escaping_scheme": "underscores",
            },
            **{scheme: {"metric_name_escaping_scheme": scheme} for scheme in SCHEMES},
            **{protocol: {"scrape_protocols": [protocol]} for protocol in PROTOCOLS},
        },
    ),
}


def configuration(scraper: Scraper, relay: Relay) -> str:
    """Have each job scrape a path of its own, by which the relay knows it."""
    target = {"static_configs": [{"targets": [f"127.0.0.1:{relay.port}"]}]}
    jobs = [
        {"job_name": job, "metrics_path": f"/{job}", **target, **wishes}
        for job, wishes in scraper.jobs.items()
    ]
    # JSON is YAML.
    return json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs})


@pytest.fixture(scope="module")
def relayed(
    example: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Prometheus, Relay]]]:
    """Run all that are installed at the same time: each waits for seconds before it scrapes."""
    with contextlib.ExitStack() as stack:
        started = {}
        for key, scraper in SCRAPERS.items():
            if shutil.which(scraper.name):
                relay = stack.enter_context(relaying(f"{example.url}/metrics"))
                folder = tmp_path_factory.mktemp(key)
                prometheus = stack.enter_context(
                    running_prometheus(
                        scraper.name, configuration(scraper, relay), folder, *scraper.options
                    )
                )
                started[key] = prometheus, relay
        yield started


@pytest.mark.parametrize("key", SCRAPERS)
def test_a_prometheus_takes_the_answer_whatever_format_it_asks_for(
    relayed: dict[str, tuple[Prometheus, Relay]], key: str
):
    program(SCRAPERS[key].name)
    prometheus, relay = relayed[key]
    jobs = SCRAPERS[key].jobs
    each_job = {(job,): 1.0 for job in jobs}

    eventually(lambda: prometheus.values("up", "job") == each_job)

    assert prometheus.values("sum by (job) (tachikoma_metrics_info)", "job") == each_job
    assert [one for one in relay.scrapes.values() if not one.is_answered_as_asked] == []
    for job, wishes in jobs.items():
        # That the header has what the job is here for.
        assert wishes.get("metric_name_escaping_scheme", "") in relay.scrapes[job].accept
