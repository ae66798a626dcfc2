"""A wrong example for each system check, on which the check is run for its message."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

from django.core.checks import CheckMessage
from django.core.checks.registry import registry
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path
from prometheus_client import REGISTRY, Counter

from tachikoma_metrics.checks.middleware import MIDDLEWARE

OTHER = "django.middleware.security.SecurityMiddleware"
COUNTED = {"orders": {"callable": "shop.metrics.open_orders"}}


@dataclass(frozen=True)
class Mistake:
    """Settings, or surroundings, that a check reports."""

    declared: Any = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    surroundings: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext


def message(id: str) -> CheckMessage:
    """Return what the check reports about its wrong example."""
    mistake = MISTAKES[id]
    declared = mistake.declared
    if isinstance(declared, dict):
        # The values of this process are not to be shared.
        declared = {"STORE_DIR": None, **declared}
    with (
        mistake.surroundings(),
        _nothing_logged(),
        override_settings(TACHIKOMA_METRICS=declared, **mistake.settings),
    ):
        return next(one for one in _messages() if one.id == f"tachikoma_metrics.{id}")


@contextlib.contextmanager
def _nothing_logged() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


def _messages() -> Iterator[CheckMessage]:
    for check in registry.get_checks(include_deployment_checks=True):
        if check.__module__.startswith("tachikoma_metrics."):
            yield from check(app_configs=None, databases=["default"])


def _respond(request: object) -> HttpResponse:
    return HttpResponse()


def _urlconf(*routes: str) -> dict[str, Any]:
    module = ModuleType(f"urls_{len(routes)}")
    module.urlpatterns = [path(route, _respond, name="view") for route in routes]  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    return {"ROOT_URLCONF": module.__name__}


@contextlib.contextmanager
def _metric_of_the_project() -> Iterator[None]:
    counter = Counter("cache_hits_total", "Hits of the project's own cache.")
    yield
    REGISTRY.unregister(counter)


def _multiprocess_directory() -> AbstractContextManager[Any]:
    return mock.patch.dict(os.environ, {"PROMETHEUS_MULTIPROC_DIR": "/run/shop/prometheus"})


def _environment(**variables: str) -> Callable[[], AbstractContextManager[Any]]:
    return lambda: mock.patch.dict(os.environ, variables)


def _without_exporter() -> AbstractContextManager[Any]:
    return mock.patch("tachikoma_metrics.push.environment.find_spec", return_value=None)


@contextlib.contextmanager
def _unwrapped_websockets() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(sys, "path", [folder]):
        package = Path(folder) / "mysite"
        package.mkdir()
        (package / "__init__.py").touch()
        source = 'application = ProtocolTypeRouter({"websocket": URLRouter([])})\n'
        (package / "asgi.py").write_text(source, encoding="utf-8")
        yield


MISTAKES: dict[str, Mistake] = {
    "E001": Mistake(["ENABLED"]),
    "E002": Mistake({"LATENCY_BUKETS": [0.1, 0.5, 1]}),
    "E003": Mistake({"BUCKETS": {"http_requests_total": [0.1, 0.5, 1]}}),
    "E004": Mistake({"LABELS": {"http_requests_total": ["metod", "status"]}}),
    "E005": Mistake({"GLOBAL_LABELS": {"method": "x"}}),
    "E006": Mistake({"EXTRA_LABELS": {"tenant": "shop.metrics.tenant"}}),
    "E007": Mistake({"EXTRA_LABELS": {"view": "shop.metrics.view"}}),
    "E008": Mistake({"LABELS": {"http_request_total": ["method"]}}),
    "E009": Mistake({"EXTRA_METRICS": ["http_requests_total"]}),
    "E010": Mistake({"DISABLED_METRICS": ["http_request_total"]}),
    "E011": Mistake({"BUSINESS_METRICS": {"orders": {"model": "Order"}}}),
    "E012": Mistake({"BUSINESS_METRICS": COUNTED, "BUSINESS_STORE": "cache"}),
    "E013": Mistake({"PERMISSION": "shop.metrics.may_read"}),
    "E101": Mistake({"ENABLED": "yes"}),
    "E102": Mistake({"PATH": "metrics"}),
    "E103": Mistake({"INCLUDE_PROCESS_METRICS": "no"}),
    "E104": Mistake({"GLOBAL_LABELS": {"region-name": "eu"}}),
    "E105": Mistake({"LATENCY_BUCKETS": [1, 0.5, 0.1]}),
    "E106": Mistake({"SIZE_BUCKETS": [0, 1000]}),
    "E107": Mistake({"NAMESPACE": "my-shop"}),
    "E108": Mistake({"BUCKETS": {"http_request_duration_seconds": [1, 0.5]}}),
    "E109": Mistake({"LABELS": {"http_requests_total": "method"}}),
    "E110": Mistake({"EXTRA_LABELS": {"tenant": "tenant"}}),
    "E111": Mistake({"EXTRA_METRICS": "http_request_db_queries"}),
    "E112": Mistake({"DISABLED_METRICS": "http_request_size_bytes"}),
    "E113": Mistake({"EXCLUDE_PATHS": ["("]}),
    "E114": Mistake({"CARDINALITY_LIMIT": 0}),
    "E115": Mistake({"STORE_DIR": "metrics"}),
    "E116": Mistake({"INSTRUMENT_DATABASES": "default"}),
    "E117": Mistake({"INSTRUMENT_CACHES": "default"}),
    "E118": Mistake({"WS_MESSAGE_TYPES": "chat.message"}),
    "E119": Mistake({"LLM_MODELS": "gpt-4o"}),
    "E120": Mistake({"BUSINESS_METRICS": {"orders": "shop.Order"}}),
    "E121": Mistake({"BUSINESS_INTERVAL": 0}),
    "E122": Mistake({"BUSINESS_MAX_AGE": -1}),
    "E123": Mistake({"BUSINESS_STORE": "redis"}),
    "E124": Mistake({"ALLOWED_NETWORKS": ["10.0.0.1/8"]}),
    "E125": Mistake({"TOKENS": "s3cr3t-token-00000000"}),
    "E126": Mistake({"PERMISSION": "may_read"}),
    "E127": Mistake({"WORKER_PORT": "9100"}),
    "E128": Mistake({"KEEP_TOTALS": -1}),
    "E129": Mistake({"WORKER_HOST": "localhost:9100"}),
    "E130": Mistake({"TASKS": ["rq"]}),
    "E131": Mistake({"COMMANDS": "clearsessions"}),
    "E132": Mistake({"ZERO_STATUSES": ["5xx"]}),
    "E133": Mistake({"VIEWS": ["django_prometheus"]}),
    "E150": Mistake({"NATIVE_HISTOGRAMS": "http_request_duration_seconds"}),
    "E151": Mistake({"NATIVE_HISTOGRAM_SCHEMA": 8}),
    "E152": Mistake({"NATIVE_HISTOGRAMS": ["http_requests_total"]}),
    "E160": Mistake({"EXEMPLARS": "opentelemetry"}),
    "E161": Mistake({"EXEMPLARS": "shop.metrics.exemplar"}),
    "E180": Mistake({"OTLP": "yes"}),
    "E181": Mistake({"OTLP": True}, surroundings=_without_exporter),
    "E182": Mistake(
        {"OTLP": True}, surroundings=_environment(OTEL_EXPORTER_OTLP_ENDPOINT="collector:4318")
    ),
    "E183": Mistake({"OTLP": True}, surroundings=_environment(OTEL_METRIC_EXPORT_INTERVAL="15s")),
    "W001": Mistake(settings={"MIDDLEWARE": [OTHER]}),
    "W002": Mistake(settings={"MIDDLEWARE": [OTHER, MIDDLEWARE]}),
    "W003": Mistake(settings=_urlconf("metrics")),
    "W004": Mistake(surroundings=_metric_of_the_project),
    "W006": Mistake(settings={"MIDDLEWARE": [MIDDLEWARE, OTHER, MIDDLEWARE]}),
    "W007": Mistake({"EXTRA_LABELS": {"tenant": "shop.metrics.tenant"}}),
    "W008": Mistake({"STORE_DIR": "/dev/null/metrics"}),
    "W009": Mistake(surroundings=_multiprocess_directory),
    "W010": Mistake({"INSTRUMENT_DATABASES": ["defualt"]}),
    "W011": Mistake({"INSTRUMENT_CACHES": ["defualt"]}),
    "W012": Mistake({"ALLOWED_NETWORKS": ["*"]}),
    "W013": Mistake({"TOKENS": ["s3cr3t"]}),
    "W014": Mistake(settings=_urlconf(*(f"{number}/" for number in range(2500)))),
    "W020": Mistake({"PATH": None}, _urlconf()),
    "W021": Mistake({"TOKENS": ["file:/run/secrets/absent"]}),
    "W022": Mistake({"TOKENS": ["Bearer s3cr3t-token-00000000"]}),
    "W023": Mistake({"BUSINESS_METRICS": COUNTED}),
    "W024": Mistake(settings={"TACHIKOMA_METRIC": {"NAMESPACE": "shop"}}),
    "W025": Mistake(
        settings={"ASGI_APPLICATION": "mysite.asgi.application"},
        surroundings=_unwrapped_websockets,
    ),
    "W026": Mistake({"BUSINESS_METRICS": COUNTED, "BUSINESS_MAX_AGE": 30}),
    "W140": Mistake({"COMMANDS": ["sendtestmail"]}),
    "W141": Mistake({"EXTRA_METRICS": ["task_queue_length"], "TASKS": ["django"]}),
    "W150": Mistake({"NATIVE_HISTOGRAMS": True}),
    "W151": Mistake({"NATIVE_HISTOGRAMS": ["http_request_duration"]}),
    "W180": Mistake({"OTLP": True}),
    "W181": Mistake(
        {"OTLP": True},
        surroundings=_environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://otlp.example.com:4318"),
    ),
    "W182": Mistake({"OTLP": True}, surroundings=_environment(OTEL_METRIC_EXPORT_INTERVAL="1000")),
    "W183": Mistake({"OTLP": True}, surroundings=_environment(OTEL_EXPORTER_OTLP_PROTOCOL="grpc")),
    "W184": Mistake(
        {"OTLP": True},
        surroundings=_environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318/v1/metrics"),
    ),
    "W185": Mistake(
        {"OTLP": True},
        surroundings=_environment(OTEL_EXPORTER_OTLP_HEADERS="Authorization: Bearer token"),
    ),
    "W186": Mistake({"OTLP": True}, surroundings=_environment(OTEL_EXPORTER_OTLP_TIMEOUT="10000")),
}
"""The wrong examples, by the id of the check that reports them."""
