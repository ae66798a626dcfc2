"""Real Prometheus servers scrape native histograms of a service with several processes."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.scripts import start
from tests.services.processes import eventually, free_port, program
from tests.services.prometheus import Prometheus, running_prometheus

NATIVE = "--enable-feature=native-histograms"
COUNT = 20_000
CHUNKS = 20
CLASSIC = "answer_seconds_bucket"

# Seconds by name of the distribution, and the quantiles that are asked for.
DISTRIBUTIONS: dict[str, tuple[Callable[[random.Random], float], tuple[float, ...]]] = {
    "log-normal": (lambda r: r.lognormvariate(math.log(0.03), 0.8), (0.5, 0.99)),
    "fast": (lambda r: r.lognormvariate(math.log(0.002), 0.5), (0.5, 0.99)),
    "bimodal": (
        lambda r: r.gauss(0.004, 0.0004) if r.random() < 0.8 else r.lognormvariate(-0.35, 0.15),
        (0.5, 0.9, 0.99),
    ),
    "slow": (lambda r: r.lognormvariate(math.log(20), 0.6), (0.5, 0.99)),
    "Pareto": (lambda r: 0.01 * r.paretovariate(1.5), (0.5, 0.99)),
}

SERVICE = """
    from tachikoma_metrics.page.worker_server import serve_metrics
    from tests.services.test_native_histograms import CHUNKS, DISTRIBUTIONS, drawn

    answer = Histogram("answer_seconds", "Answers.", ["kind"])

    def observe(chunk):
        for kind in DISTRIBUTIONS:
            for value in drawn(kind)[chunk::CHUNKS]:
                answer.labels(kind).observe(value)
                METRICS.execution_duration_seconds.labels(kind, "any").observe(value)

    def observe_through_a_child(chunk):
        observe(chunk)
        in_child(observe, chunk + 1)

    live = []
    for chunk in range(0, CHUNKS, 2):
        live.append(in_child(observe_through_a_child, chunk, live=True))
        if len(live) == 4:
            kill(live.pop(chunk % 3))
    serve_metrics()
    print("ready", flush=True)
    time.sleep(60)
"""


def drawn(kind: str) -> list[float]:
    """Return what is observed of a distribution."""
    generator = random.Random(kind)  # noqa: S311  # The same numbers everywhere.
    return [DISTRIBUTIONS[kind][0](generator) for _ in range(COUNT)]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    declared: dict[str, Any] = {"NATIVE_HISTOGRAMS": True, "WORKER_PORT": port}
    directory = tmp_path_factory.mktemp("native") / "store"
    with start(SERVICE, directory, **declared) as service:
        try:
            assert service.stdout is not None
            assert service.stdout.readline() == "ready\n"
            yield port
        finally:
            service.kill()


def configuration(port: int, **job: object) -> str:
    declared = {
        "job_name": "tachikoma",
        "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
        **job,
    }
    return json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [declared]})


def assert_exact_and_near(prometheus: Prometheus, tolerance: float = 0.015) -> None:
    for metric, label in (("answer_seconds", "kind"), ("execution_duration_seconds", "backend")):
        counts = prometheus.values(f"histogram_count({metric})", label)
        assert counts == {(kind,): COUNT for kind in DISTRIBUTIONS}
        sums = prometheus.values(f"histogram_sum({metric})", label)
        for kind, (_, quantiles) in DISTRIBUTIONS.items():
            values = sorted(drawn(kind))
            assert sums[kind,] == pytest.approx(math.fsum(values))
            for quantile in quantiles:
                query = f"histogram_quantile({quantile}, {metric})"
                expected = values[math.ceil(quantile * COUNT) - 1]
                assert prometheus.values(query, label)[kind,] == pytest.approx(
                    expected, rel=tolerance
                )


@pytest.mark.parametrize("scraper", ["prometheus", "prometheus3"])
def test_quantiles_are_near_the_truth_and_counts_are_exact(port: int, scraper: str, tmp_path: Path):
    program(scraper)
    with running_prometheus(scraper, configuration(port), tmp_path, NATIVE) as prometheus:
        eventually(lambda: prometheus.query("answer_seconds") != [])

        # Prometheus 2 interpolates linearly within a bucket, which is 9 % wide.
        assert_exact_and_near(prometheus, 0.02 if scraper == "prometheus" else 0.015)
        assert prometheus.query(CLASSIC) == []


def test_classic_buckets_stay_where_prometheus_is_told_to_keep_them(port: int, tmp_path: Path):
    program("prometheus3")
    kept = configuration(port, always_scrape_classic_histograms=True)
    with running_prometheus("prometheus3", kept, tmp_path, NATIVE) as prometheus:
        eventually(lambda: prometheus.query(CLASSIC) != [])

        assert_exact_and_near(prometheus)
        counts = prometheus.values(f'{CLASSIC}{{le="+Inf"}}', "kind")
        assert counts == {(kind,): COUNT for kind in DISTRIBUTIONS}


def test_a_prometheus_that_does_not_ask_for_native_histograms_gets_classic_ones(
    port: int, tmp_path: Path
):
    program("prometheus3")
    with running_prometheus("prometheus3", configuration(port), tmp_path) as prometheus:
        eventually(lambda: prometheus.query(CLASSIC) != [])

        assert prometheus.query("answer_seconds") == []


def test_prometheus_makes_native_histograms_of_classic_ones(port: int, tmp_path: Path):
    program("prometheus3")
    converting = configuration(port, convert_classic_histograms_to_nhcb=True)
    with running_prometheus("prometheus3", converting, tmp_path, NATIVE) as prometheus:
        eventually(lambda: prometheus.query("answer_seconds") != [])

        counts = prometheus.values("histogram_count(answer_seconds)", "kind")

    assert counts == {(kind,): COUNT for kind in DISTRIBUTIONS}
