"""A real Prometheus takes whatever is left of what odd collectors yield."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.samples import Exemplar, Sample

from tachikoma_metrics.exposition import OPENMETRICS, TEXT, Format, gather
from tests.exposition.collectors import Yielding
from tests.services.processes import eventually
from tests.services.prometheus import PROMETHEUSES, Prometheus, running_prometheus


def odd_family(type: str, *samples: Any, unit: str = "", name: str = "odd") -> Metric:
    metric = Metric("odd", "Odd.", "gauge")
    metric.name, metric.type, metric.unit, metric.samples = name, type, unit, list(samples)
    return metric


NOW = datetime.datetime(2026, 11, 30)
ODD = [
    odd_family("gauge", Sample("odd", {}, 1, NOW)),  # type: ignore[arg-type]
    odd_family("gauge", Sample("odd", {"kind": "a"}, 1, math.nan)),
    odd_family("gauge", Sample("odd", {"kind": "b"}, 1, 1e300)),
    odd_family("gauge", Sample("odd", {"__name__": "up"}, 1)),
    odd_family("gauge", Sample("odd", {"kind": "c"}, 1, None, Exemplar({"a": "b"}, 1))),
    odd_family("gauge", Sample("", {}, 1)),
    odd_family("gauge", Sample("odd", {"kind": "d"}, 1), unit="m/s"),
    odd_family("gauge", Sample("odd", {"kind": "e"}, 1), unit="x\nodd 7"),
    odd_family("stale", Sample("odd", {"kind": "f"}, 1)),
    odd_family("gauge", Sample("odd", {}, 1), name=""),
    odd_family("counter", Sample("odd_jobs_total", {}, -1), name="odd_jobs"),
    odd_family("info", Sample("odd_build_info", {}, 7), name="odd_build"),
    odd_family(
        "histogram",
        Sample("odd_seconds_bucket", {"le": "5"}, 2),
        Sample("odd_seconds_bucket", {"le": "1"}, 1),
        Sample("odd_seconds_bucket", {"le": "nan"}, 1),
        Sample("odd_seconds_bucket", {"le": "+Inf"}, 2),
        name="odd_seconds",
    ),
]


def page_in(format: Format[str]) -> str:
    """Return a page of every odd family, and of one that is not."""
    registry = CollectorRegistry()
    registry.register(Yielding(*ODD))
    Gauge("wind", "Speed.", unit="m/s", registry=registry).set(3)
    Counter("even_jobs", "Jobs.", registry=registry).inc()
    Histogram("frost", "Degrees.", buckets=[-10, 0], registry=registry).observe(-5)

    def ignore(source: str, error: Exception, about: object) -> None: ...

    return format.render(gather(registry, ignore), ignore, {"env": "prod"})


FORMATS = {"text": TEXT, "openmetrics": OPENMETRICS}


@pytest.fixture(scope="module")
def serving() -> Iterator[int]:
    """Serve the page in each format at a path of its own, whatever is asked for."""
    bodies = {f"/{name}": page_in(format).encode() for name, format in FORMATS.items()}

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bodies[self.path]
            self.send_response(200)
            self.send_header("Content-Type", FORMATS[self.path.strip("/")].content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def prometheuses(
    serving: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Prometheus]]:
    """Run every Prometheus that is installed; each scrapes both formats."""
    targets = [{"targets": [f"127.0.0.1:{serving}"]}]
    jobs = [
        {"job_name": name, "metrics_path": f"/{name}", "static_configs": targets}
        for name in FORMATS
    ]
    # JSON is YAML.
    configuration = json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs})
    folder = tmp_path_factory.mktemp("odd")
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(running_prometheus(name, configuration, folder))
            for name in PROMETHEUSES
            if shutil.which(name)
        }


@pytest.mark.parametrize("format", FORMATS)
def test_prometheus_takes_what_is_left(prometheus: Prometheus, format: str):
    def values(name: str, *labels: str) -> dict[tuple[str, ...], float]:
        return prometheus.values(f'{name}{{job="{format}"}}', *labels)

    eventually(lambda: values("up") == {(): 1.0})
    eventually(lambda: values("even_jobs_total", "env") == {("prod",): 1.0})

    assert values("wind_m_s") == {(): 3.0}
    kinds = {kind for (kind,) in values("odd", "kind")}
    assert kinds == {"c", "d", "e"}
    bounds = {bound for (bound,) in values("odd_seconds_bucket", "le")}
    assert "+Inf" in bounds
    assert len(bounds) == 2
    assert values("odd_jobs_total") == {}
    assert values("frost_bucket", "le")["+Inf",] == 1
