"""A real Prometheus scrapes the example, served by gunicorn."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from tachikoma_metrics import METRICS
from tachikoma_metrics.catalogue import FAMILIES
from tests.services.conftest import Server
from tests.services.processes import eventually, get, program
from tests.services.prometheus import Prometheus, scraping


@pytest.fixture
def prometheus(gunicorn: Server, tmp_path: Path) -> Iterator[Prometheus]:
    with scraping(gunicorn.port, tmp_path) as asked:
        yield asked


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


def test_prometheus_knows_what_the_client_sent(gunicorn: Server, prometheus: Prometheus):
    eventually(lambda: prometheus.values("up", "job") == {("tachikoma",): 1.0})

    sent = send(gunicorn)

    def has_all() -> bool:
        total = prometheus.values("sum(http_requests_total)")
        return total == {(): float(sum(sent.values()))}

    eventually(has_all)
    by_all = prometheus.values("http_requests_total", "method", "path", "status")
    assert by_all == dict(sent)
    by_path: Counter[tuple[str]] = Counter()
    for (_, path, _), times in sent.items():
        by_path[(path,)] += times
    assert prometheus.values("sum by (path) (http_requests_total)", "path") == dict(by_path)
    durations = "sum by (path) (http_request_duration_seconds_count)"
    assert prometheus.values(durations, "path") == dict(by_path)
    assert prometheus.values("http_requests_in_flight") == {(): 0.0}
    assert prometheus.values("count(django_model_inserts_total)") == {(): 3.0}
    assert prometheus.values("tachikoma_metrics_errors_total") == {}


def complaints(page: str) -> list[str]:
    """Return what promtool has to say of a page."""
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=page,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return sorted((checked.stdout + checked.stderr).strip().splitlines())


def test_promtool_finds_nothing_on_the_page_of_the_example(gunicorn: Server):
    send(gunicorn)

    assert complaints(gunicorn.page()) == []


def test_promtool_finds_nothing_but_the_names_the_specification_wants():
    opt_in = [name for name, family in FAMILIES.items() if family.opt_in]
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": opt_in}):
        for name, family in FAMILIES.items():
            metric = getattr(METRICS, name)
            series = metric.labels(*family.label_names) if family.labels else metric
            change = {"counter": "inc", "gauge": "set", "histogram": "observe"}[family.type]
            getattr(series, change)(1)

        found = complaints(METRICS.encode())

    complaint = 'non-counter metrics should not have "_total" suffix'
    assert found == [f"missions_total {complaint}", f"specs_total {complaint}"]
