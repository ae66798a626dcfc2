"""A receiver of OTLP, which reads requests by OpenTelemetry's own messages."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

Key = tuple[str, frozenset[tuple[str, str]]]
"""The name of a sample, and its labels, as text 0.0.4 has them."""

DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}


@dataclass
class Push:
    """One request, as it was received."""

    path: str
    headers: dict[str, str]
    message: ExportMetricsServiceRequest

    @property
    def resource(self) -> dict[str, str]:
        """Return the attributes of the resource."""
        (found,) = self.message.resource_metrics
        return pairs(found.resource.attributes)

    @property
    def metrics(self) -> dict[str, Any]:
        """Return the metrics by name."""
        (found,) = self.message.resource_metrics
        (scope,) = found.scope_metrics
        named = {metric.name: metric for metric in scope.metrics}
        assert len(named) == len(scope.metrics), "a name is there twice"
        return named

    @property
    def points(self) -> dict[Key, Any]:
        """Return the data points, by the names and labels of their metrics."""
        found: dict[Key, Any] = {}
        for name, metric in self.metrics.items():
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                key = (name, frozenset(pairs(point.attributes).items()))
                assert key not in found, f"{key} is there twice"
                found[key] = point
        return found

    @property
    def times(self) -> set[int]:
        """Return the times of the values, in Unix nanoseconds."""
        return {point.time_unix_nano for point in self.points.values()}

    @property
    def samples(self) -> dict[Key, float]:
        """Return what Prometheus would make of the request."""
        found: dict[Key, float] = {}
        for (name, labels), point in self.points.items():
            if hasattr(point, "as_double"):
                found[name, labels] = point.as_double
                continue
            found[f"{name}_count", labels] = point.count
            if hasattr(point, "quantile_values"):
                found[f"{name}_sum", labels] = point.sum
                for one in point.quantile_values:
                    quantile = ("quantile", repr(one.quantile))
                    found[name, labels | {quantile}] = one.value
                continue
            if point.HasField("sum"):
                found[f"{name}_sum", labels] = point.sum
            total = 0
            bounds = [*map(repr, point.explicit_bounds), "+Inf"]
            for bound, count in zip(bounds, point.bucket_counts, strict=True):
                total += count
                found[f"{name}_bucket", labels | {("le", bound)}] = total
        return found


def pairs(attributes: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in attributes}


@dataclass
class Receiver:
    """What was received so far, and how later requests are answered."""

    port: int = 0
    status: int = 200
    answer_headers: dict[str, str] = field(default_factory=dict)
    body: bytes = ExportMetricsServiceResponse().SerializeToString()
    pushes: list[Push] = field(default_factory=list)
    answered: threading.Event = field(default_factory=threading.Event)
    is_hanging: threading.Event = field(default_factory=threading.Event)
    most_at_once: int = 0
    now: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Receive on a free port."""
    receiver = Receiver()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            with receiver.lock:
                receiver.now += 1
                receiver.most_at_once = max(receiver.most_at_once, receiver.now)
            try:
                self._answer()
            finally:
                with receiver.lock:
                    receiver.now -= 1

        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            decode = DECODERS.get(self.headers.get("Content-Encoding", ""), bytes)
            message = ExportMetricsServiceRequest.FromString(decode(content))
            push = Push(self.path, {k.lower(): v for k, v in self.headers.items()}, message)
            with receiver.lock:
                receiver.pushes.append(push)
            if receiver.is_hanging.is_set():
                over.wait(60)
                self.close_connection = True
                return
            self.send_response(receiver.status)
            for name, value in receiver.answer_headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            seconds = float(receiver.answer_headers.get("X-Drip", 0))
            for byte in receiver.body if seconds else ():
                self.wfile.write(bytes([byte]))
                over.wait(seconds)
            self.wfile.write(b"" if seconds else receiver.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A sender may be killed on the way."""

    with Server(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            over.set()
            server.shutdown()
            thread.join()
