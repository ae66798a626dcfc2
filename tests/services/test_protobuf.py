"""Real Prometheus servers scrape protobuf from a server with several workers."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.exposition.decoded import decode
from tests.services.processes import eventually, get, program
from tests.services.prometheus import Prometheus, running_prometheus
from tests.services.relay import Relay, relaying
from tests.services.sites import Site

PROTOBUF = "application/vnd.google.protobuf"
ACCEPT = f"{PROTOBUF};proto=io.prometheus.client.MetricFamily;encoding=delimited"
OF_PROMETHEUS = ("__name__", "instance", "job")
# A worker has the collector of `depot_stock` once it has loaded the URLconf.
VOLATILE = "depot_stock|process_.*|python_gc_.*|scrape_.*|tachikoma_metrics_scrape.*|up"
SERIES = f'{{__name__!~"{VOLATILE}", job="tachikoma"}}'
NATIVE = "--enable-feature=native-histograms"
STARTS = "--enable-feature=created-timestamp-zero-ingestion"


@dataclass(frozen=True)
class Scraper:
    """A Prometheus as it scrapes text, and as it scrapes protobuf."""

    name: str
    in_protobuf: tuple[str, ...]


SCRAPERS = [
    Scraper("prometheus", (NATIVE,)),
    Scraper("prometheus3", (NATIVE,)),
    Scraper("prometheus3", (STARTS,)),
]


def configuration(relay: Relay, path: str) -> str:
    job = {
        "job_name": "tachikoma",
        "metrics_path": f"/{path}",
        "static_configs": [{"targets": [f"127.0.0.1:{relay.port}"], "labels": {"instance": "one"}}],
    }
    return json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("protobuf").resolve() / "site")
    with site.gunicorn("--workers", "2"):
        for number in range(40):
            get(f"{site.url}/shelves/{number}/")
            get(f"{site.url}/shelves/7/boxes/red/")
        for _ in range(8):
            get(f"{site.url}/sell/ann/")
        get(f"{site.url}/shelves/?fail")
        yield site
    site.clear()


@contextlib.contextmanager
def scraping(scraper: str, relay: Relay, path: str, folder: Path, *options: str) -> Iterator[Any]:
    """Run a Prometheus whose scrapes the relay knows by their path."""
    data = folder / path
    data.mkdir()
    with running_prometheus(scraper, configuration(relay, path), data, *options) as prometheus:
        yield prometheus


def series(prometheus: Prometheus) -> dict[frozenset[tuple[str, str]], str]:
    """Return the latest value of each time series."""
    return {
        frozenset(found["metric"].items()): found["value"][1] for found in prometheus.query(SERIES)
    }


@pytest.mark.parametrize("scraper", SCRAPERS, ids=["2-native", "3-native", "3-starts"])
def test_prometheus_reads_the_same_in_protobuf_as_in_text(
    site: Site, scraper: Scraper, tmp_path: Path
):
    program(scraper.name)
    with (
        relaying(f"{site.url}/metrics") as relay,
        scraping(scraper.name, relay, "text", tmp_path) as text,
        scraping(scraper.name, relay, "protobuf", tmp_path, *scraper.in_protobuf) as protobuf,
    ):
        eventually(lambda: len(series(text)) > 100 and series(text) == series(protobuf))

        names = {dict(one)["__name__"] for one in series(protobuf)}
        buckets = protobuf.values('depot_price_bucket{le="10.0"}')

    assert relay.scrapes["protobuf"].content_type.startswith(PROTOBUF)
    assert not relay.scrapes["text"].content_type.startswith(PROTOBUF)
    assert {"depot_weight_sum", "http_requests_total", "python_info"} <= names
    assert buckets == {(): 8.0}


def test_prometheus_begins_totals_with_a_zero_at_their_start(site: Site, tmp_path: Path):
    program("prometheus3")
    request = urllib.request.Request(f"{site.url}/metrics", headers={"Accept": ACCEPT})
    with urllib.request.urlopen(request) as answer:
        starts = decode(answer.read()).starts
    totals = ("http_requests_total", "http_request_duration_seconds_count", "depot_weight_count")

    with (
        relaying(f"{site.url}/metrics") as relay,
        scraping("prometheus3", relay, "protobuf", tmp_path, STARTS) as prometheus,
    ):
        eventually(lambda: len(series(prometheus)) > 100)
        firsts = {name: first_samples(prometheus, name) for name in totals}

    assert all(firsts.values())
    for name, found in firsts.items():
        family = name.removesuffix("_count")
        expected = {labels: start for (one, labels), start in starts.items() if one == family}
        assert {labels: value for labels, (value, _) in found.items()} == dict.fromkeys(
            expected, "0"
        )
        for labels, (_, moment) in found.items():
            assert moment == pytest.approx(expected[labels], abs=0.0011)


def first_samples(
    prometheus: Prometheus, name: str
) -> dict[frozenset[tuple[str, str]], tuple[str, float]]:
    """Return the first sample of each time series that was ever above zero: value, and time."""
    found = {}
    for one in prometheus.query(f"{name}[1h]"):
        labels = {k: v for k, v in one["metric"].items() if k not in OF_PROMETHEUS}
        moment, value = one["values"][0]
        if one["values"][-1][1] != "0":
            found[frozenset(labels.items())] = (value, moment)
    return found
