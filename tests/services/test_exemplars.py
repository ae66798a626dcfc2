"""Traces of a real OpenTelemetry SDK, as a real Prometheus has them as exemplars."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exemplars import TRACEPARENT, Found, exemplars_of
from tests.services.processes import eventually, get, program
from tests.services.prometheus import CONFIGURATION, Prometheus, running_prometheus
from tests.services.sites import Site

BUCKETS = "http_request_duration_seconds_bucket"
STORAGE = "exemplar-storage"
WORKERS = ("-w", "2", "--timeout", "300")


@pytest.fixture
def traced(new_site: Callable[..., Site]) -> Iterator[Site]:
    """Serve a site with two workers, both of which trace each request."""
    pytest.importorskip("opentelemetry.instrumentation.django")
    site = new_site(TRACED="1", EXEMPLARS="auto")
    with site.gunicorn(*WORKERS):
        yield site


def found_by(asked: Prometheus, metric: str) -> dict[str, dict[str, Any]]:
    """Return the exemplars that Prometheus has, by the trace."""
    now = time.time()
    query = {"query": metric, "start": now - 3600, "end": now + 60}
    url = f"{asked.url}/api/v1/query_exemplars?{urllib.parse.urlencode(query)}"
    answered = json.loads(get(url)[1])
    return {
        exemplar["labels"]["trace_id"]: {**exemplar, "series": found["seriesLabels"]}
        for found in answered["data"]
        for exemplar in found["exemplars"]
    }


def shown(site: Site, metric: str) -> list[Found]:
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}
    return exemplars_of(metric, get(f"{site.url}/metrics", **headers)[1].decode())


@pytest.mark.parametrize("features", [STORAGE, f"{STORAGE},native-histograms"])
@pytest.mark.parametrize("name", ["prometheus", "prometheus3"])
def test_prometheus_has_the_trace_of_one_worker_from_another(
    traced: Site, tmp_path: Path, name: str, features: str
):
    program(name)
    pid, trace, span = traced.get("/traced/?milliseconds=120").split()
    # It answers no scrape from here on, and is killed in the end.
    os.kill(int(pid), signal.SIGSTOP)

    configuration = CONFIGURATION.format(port=traced.port)
    # With native histograms it asks for protobuf, else for OpenMetrics.
    option = f"--enable-feature={features}"
    with running_prometheus(name, configuration, tmp_path, option) as asked:
        eventually(lambda: trace in found_by(asked, BUCKETS))
        found = found_by(asked, BUCKETS)[trace]
        assert found["labels"] == {"trace_id": trace, "span_id": span}
        assert 0.12 <= float(found["value"]) <= float(found["series"]["le"])
        assert found["series"]["path"] == "/traced/"
        assert trace in found_by(asked, "http_requests_total")

    os.kill(int(pid), signal.SIGKILL)
    assert [one.labels["trace_id"] for one in shown(traced, BUCKETS)].count(trace) == 1


def test_the_trace_of_a_killed_worker_is_kept_by_its_successor(traced: Site):
    pid, trace, _ = traced.get("/traced/?milliseconds=120").split()
    os.kill(int(pid), signal.SIGKILL)
    eventually(lambda: pid not in {traced.get() for _ in range(4)})
    # Both workers answer, the new one among them.
    eventually(lambda: len({traced.get() for _ in range(8)}) == 2)

    for _ in range(10):
        assert trace in [one.labels["trace_id"] for one in shown(traced, BUCKETS)]


def test_a_header_is_enough(new_site: Callable[..., Site]):
    site = new_site(EXEMPLARS="auto")
    with site.gunicorn(*WORKERS):
        get(f"{site.url}/burn/", traceparent=TRACEPARENT)

        [found] = shown(site, BUCKETS)
        assert found.sample["path"] == "/burn/"
        assert found.labels["trace_id"] in TRACEPARENT
