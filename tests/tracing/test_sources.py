"""Where exemplars come from, and when the source is asked."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

from tachikoma_metrics import METRICS, conf, record_backend_request, record_execution
from tachikoma_metrics.catalogue import HTTP_REQUESTS
from tachikoma_metrics.exposition import OPENMETRICS
from tachikoma_metrics.recording.tasks import TASK_RUN
from tachikoma_metrics.registry import Event, events
from tachikoma_metrics.testing import sample_value, samples
from tests import views
from tests.exemplars import LABELS, SPAN, TRACE, TRACEPARENT, exemplars_of, labels_in
from tests.tracing import callables
from tests.urls import urlpatterns

AUTO = {"EXEMPLARS": "auto"}
CALLABLE = {"EXEMPLARS": "tests.tracing.callables.exemplar"}
REQUESTS, DURATIONS = "http_requests_total", "http_request_duration_seconds_bucket"


@pytest.fixture(autouse=True)
def _no_answers() -> Iterator[None]:
    callables.calls.clear()
    callables.returned.clear()
    yield
    conf.reload()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Lend the clock by which the age of an exemplar is known."""
    clock = SimpleNamespace(now=time.perf_counter())
    monkeypatch.setattr(events, "perf_counter", lambda: clock.now)
    return clock


def errors() -> float:
    return sample_value("tachikoma_metrics_errors_total", source="exemplar") or 0


# --- what is recorded -----------------------------------------------------------


def test_there_are_none_unless_the_setting_asks_for_them(client: Client):
    client.get("/hello/", headers={"traceparent": TRACEPARENT})

    assert exemplars_of(REQUESTS) == exemplars_of(DURATIONS) == []


@override_settings(TACHIKOMA_METRICS=AUTO)
def test_the_trace_of_a_request_is_in_its_bucket_and_in_the_number_of_requests(client: Client):
    before = time.time()
    client.get("/hello/", headers={"traceparent": TRACEPARENT})

    [counted] = exemplars_of(REQUESTS)
    assert counted.sample == {"method": "GET", "path": "/hello/", "status": "200"}
    assert counted.labels == LABELS
    assert counted.value == 1
    assert before - 1 <= counted.timestamp <= time.time() + 1
    [timed] = exemplars_of(DURATIONS)
    assert timed.labels == LABELS
    assert 0 < timed.value <= float(timed.sample["le"])


@override_settings(TACHIKOMA_METRICS=AUTO)
async def test_an_async_request_has_one_too(async_client: AsyncClient):
    await async_client.get("/async-hello/", headers={"traceparent": TRACEPARENT})

    assert labels_in(DURATIONS) == [LABELS]


@override_settings(TACHIKOMA_METRICS=AUTO)
def test_text_has_no_exemplars(client: Client):
    client.get("/hello/", headers={"traceparent": TRACEPARENT})

    assert TRACE not in METRICS.encode()
    assert TRACE in client.get("/metrics", headers={"accept": "application/openmetrics-text"}).text


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_durations_of_calls_and_tasks_have_one():
    callables.returned.append({"job": "42"})
    record_execution("openai", "gpt-4o", "success", 1.5, (1, 2))
    record_backend_request("openai", "/v1/chat/completions", 0.3)
    TASK_RUN.record(("shop.tasks.pack", "celery", "success", ""), (1, 0.2))

    assert labels_in("execution_duration_seconds_bucket") == [{"job": "42"}]
    assert labels_in("backend_request_duration_seconds_bucket") == [{"job": "42"}]
    assert labels_in("task_run_duration_seconds_bucket") == [{"job": "42"}]
    assert exemplars_of("executions_total") == []


@override_settings(TACHIKOMA_METRICS=AUTO)
def test_what_is_recorded_within_a_request_has_its_trace(client: Client, monkeypatch):
    def hello(request: HttpRequest) -> HttpResponse:
        record_backend_request("openai", "/v1/chat/completions", 0.3)
        return original(request)

    original = views.hello
    route = next(one for one in urlpatterns if getattr(one, "name", "") == "hello")
    monkeypatch.setattr(route, "callback", hello)
    client.get("/hello/", headers={"traceparent": TRACEPARENT})

    assert labels_in("backend_request_duration_seconds_bucket") == [LABELS]


@override_settings(TACHIKOMA_METRICS={**AUTO, "DISABLED_METRICS": [DURATIONS[:-7]]})
def test_a_count_has_one_without_the_duration(client: Client):
    client.get("/hello/", headers={"traceparent": TRACEPARENT})

    assert labels_in(REQUESTS) == [LABELS]


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_an_event_without_a_duration_asks_every_seven_seconds(clock: SimpleNamespace):
    event = Event("test", ("method", "path", "status"), HTTP_REQUESTS)
    # The first one reads the settings.
    event.record(("GET", "/", "200"), (1.0,))
    for number in range(3):
        callables.returned[:] = [{"number": str(number)}]
        event.record(("GET", "/", "200"), (1.0,))
        clock.now += 4

    assert labels_in(REQUESTS) == [{"number": "2"}]
    assert len(callables.calls) == 2
    assert errors() == 0


@override_settings(TACHIKOMA_METRICS={**AUTO, "VIEWS": ["django-prometheus"]})
def test_a_view_shows_those_of_its_sources(client: Client):
    client.get("/hello/", headers={"traceparent": TRACEPARENT})

    assert labels_in(DURATIONS) == [LABELS]
    name = "django_http_requests_latency_seconds_by_view_method_bucket"
    [shown] = exemplars_of(name)
    assert shown.labels == LABELS
    assert shown.value <= float(shown.sample["le"])


@override_settings(TACHIKOMA_METRICS={**AUTO, "CARDINALITY_LIMIT": 1})
def test_an_overflowing_metric_stays_readable(client: Client):
    client.get("/hello/", headers={"traceparent": TRACEPARENT})
    client.get("/teapot/", headers={"traceparent": TRACEPARENT})

    assert len(exemplars_of(DURATIONS)) <= 1
    assert errors() == 0


@override_settings(TACHIKOMA_METRICS=AUTO)
def test_a_stream_has_the_trace_of_when_it_began(client: Client):
    provider = TracerProvider(sampler=ALWAYS_ON)
    with provider.get_tracer("tests").start_as_current_span("request") as span:
        response = client.get("/stream/")
    response.getvalue()

    expected = f"{span.get_span_context().trace_id:032x}"
    assert [labels["trace_id"] for labels in labels_in(DURATIONS)] == [expected]


# --- sources --------------------------------------------------------------------


@override_settings(TACHIKOMA_METRICS=AUTO)
def test_the_current_span_of_opentelemetry_comes_before_the_header(client: Client):
    provider = TracerProvider(sampler=ALWAYS_ON)
    with provider.get_tracer("tests").start_as_current_span("request") as span:
        client.get("/hello/", headers={"traceparent": TRACEPARENT})

    context = span.get_span_context()
    expected = {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }
    assert labels_in(DURATIONS) == [expected]


@override_settings(TACHIKOMA_METRICS=AUTO)
def test_a_span_that_is_not_sampled_is_none(client: Client):
    provider = TracerProvider(sampler=ALWAYS_OFF)
    with provider.get_tracer("tests").start_as_current_span("request"):
        client.get("/hello/")

    assert exemplars_of(DURATIONS) == []
    assert errors() == 0


def ignore(*args: object) -> None:
    pass


@override_settings(TACHIKOMA_METRICS=AUTO)
@pytest.mark.parametrize("rate", [1.0, 0.0])
def test_a_span_of_sentry_is_one_if_it_is_sampled(client: Client, rate: float):
    sentry_sdk = pytest.importorskip("sentry_sdk")
    transport = type("Transport", (sentry_sdk.transport.Transport,), {"capture_envelope": ignore})
    with sentry_sdk.isolation_scope():
        sentry_sdk.init(
            dsn="https://public@sentry.example/1",
            transport=transport,
            traces_sample_rate=rate,
            default_integrations=False,
            auto_enabling_integrations=False,
        )
        try:
            with sentry_sdk.start_transaction(name="request") as transaction:
                client.get("/hello/")
        finally:
            sentry_sdk.get_client().close()
            sentry_sdk.get_global_scope().set_client(None)

    found = [labels["trace_id"] for labels in labels_in(DURATIONS)]
    assert found == ([transaction.trace_id] if rate else [])
    assert errors() == 0


@pytest.mark.parametrize(
    "header",
    [
        f"00-{TRACE}-{SPAN}-00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-0",
        f"00-{TRACE}-{SPAN}-0g",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"{TRACEPARENT}\n",
        "\ud800",
        "",
        "0" * 10_000,
    ],
)
@override_settings(TACHIKOMA_METRICS=AUTO)
def test_another_header_is_none(client: Client, header: str):
    client.get("/hello/", HTTP_TRACEPARENT=header)

    assert exemplars_of(DURATIONS) == []
    assert errors() == 0


@pytest.mark.parametrize(
    "header", [f"{TRACEPARENT}-more", f"cc{TRACEPARENT[2:]}", f"00-{TRACE}-{SPAN}-ff"]
)
@override_settings(TACHIKOMA_METRICS=AUTO)
def test_a_later_version_of_the_header_is_understood(client: Client, header: str):
    client.get("/hello/", headers={"traceparent": header})

    assert labels_in(DURATIONS) == [LABELS]


@override_settings(TACHIKOMA_METRICS=AUTO)
def test_a_tracer_that_fails_is_counted_and_costs_nothing_else(client: Client, monkeypatch):
    broken: Any = ModuleType("opentelemetry.trace")
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", broken)
    client.get("/hello/", headers={"traceparent": TRACEPARENT})

    assert sample_value(REQUESTS, method="GET", path="/hello/", status="200") == 1
    assert errors() == 1


# --- callables ------------------------------------------------------------------


@override_settings(TACHIKOMA_METRICS=CALLABLE)
@pytest.mark.parametrize(
    "labels",
    [
        {"trace_id": TRACE},
        {"trace_id": TRACE, "span_id": SPAN},
        {"trace_id": TRACE.upper(), "span_id": SPAN},
        {"trace_id": TRACE, "span_id": "0" * 16},
        {"trace_id": "abc"},
        {"trace_id": "é" * 32},
        {"span_id": SPAN},
        {"tenant": "a value", "trace_id": TRACE},
        {"tenant": ""},
    ],
)
def test_a_callable_returns_its_own_labels(client: Client, labels: dict[str, str]):
    callables.returned.append(labels)
    client.get("/hello/")

    assert labels_in(DURATIONS) == [labels]


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_a_value_may_contain_anything(client: Client):
    # prometheus_client's parser does not understand quotes and braces in exemplars.
    callables.returned.append({"tenant": 'a "quoted" }\\\nvalue', "trace_id": TRACE})
    client.get("/hello/")

    expected = f'# {{tenant="a \\"quoted\\" }}\\\\\\nvalue",trace_id="{TRACE}"}} '
    assert expected in METRICS.expose(OPENMETRICS)


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_labels_that_are_too_long_are_left_out_one_by_one(client: Client):
    callables.returned.append({"url": "x" * 120, "trace_id": TRACE, "long": "y" * 40, "ü": "1"})
    callables.returned.append({"first": "é" * 60, "url": "x" * 70, "trace_id": TRACE[:20]})
    client.get("/hello/")

    # The first one takes 65 characters, the second one would make it more than 128.
    assert labels_in(DURATIONS) == [{"first": "é" * 60, "trace_id": TRACE[:20]}]
    assert errors() == 0


@override_settings(TACHIKOMA_METRICS=CALLABLE)
@pytest.mark.parametrize("returned", [None, {}, {"url": "x" * 200}])
def test_a_callable_may_have_no_labels(client: Client, returned: object):
    callables.returned.append(returned)
    client.get("/hello/")

    assert exemplars_of(DURATIONS) == []
    assert errors() == 0


@override_settings(TACHIKOMA_METRICS=CALLABLE)
@pytest.mark.parametrize(
    "returned",
    [
        "trace_id",
        ["trace_id"],
        {"trace-id": "a"},
        {"__name__": "a"},
        {1: "a"},
        42,
        callables.coroutine,
        callables.fail,
    ],
)
def test_a_callable_that_returns_anything_else_is_counted(client: Client, returned: object):
    callables.returned.append(returned)
    client.get("/hello/")

    assert exemplars_of(DURATIONS) == []
    assert errors() == 1
    assert sample_value(REQUESTS, method="GET", path="/hello/", status="200") == 1


@override_settings(TACHIKOMA_METRICS={"EXEMPLARS": "tests.tracing.nowhere.exemplar"})
def test_a_callable_that_does_not_exist_is_counted(client: Client):
    client.get("/hello/")

    assert errors() == 1


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_a_value_that_cannot_be_encoded_is_replaced(client: Client):
    callables.returned.append({"trace_id": "gpt\ud800"})
    client.get("/hello/")

    assert len(exemplars_of(DURATIONS)) == 1
    assert errors() == 0


# --- how often ------------------------------------------------------------------


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_a_callable_is_asked_again_after_seven_seconds(clock: SimpleNamespace):
    callables.returned.append({"job": "1"})
    record_backend_request("openai", "/v1/models", 0.3)
    callables.returned.append({"job": "2"})
    clock.now += 6.9
    record_backend_request("openai", "/v1/models", 0.3)

    assert len(callables.calls) == 1
    assert labels_in("backend_request_duration_seconds_bucket") == [{"job": "1"}]

    clock.now += 0.2
    record_backend_request("openai", "/v1/models", 0.3)

    assert len(callables.calls) == 2
    assert labels_in("backend_request_duration_seconds_bucket") == [{"job": "2"}]


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_each_bucket_has_its_own(clock: SimpleNamespace):
    callables.returned.append({"job": "1"})
    record_backend_request("openai", "/v1/models", 0.3)
    record_backend_request("openai", "/v1/models", 7)
    record_backend_request("openai", "/v1/models", 700)

    assert len(callables.calls) == 3
    found = exemplars_of("backend_request_duration_seconds_bucket")
    assert [(one.sample["le"], one.value) for one in found] == [
        ("0.5", 0.3),
        ("10.0", 7),
        ("+Inf", 700),
    ]


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_without_a_trace_the_next_attempt_is_soon(clock: SimpleNamespace):
    record_backend_request("openai", "/v1/models", 0.3)
    record_backend_request("openai", "/v1/models", 0.3)
    assert len(callables.calls) == 1

    clock.now += 0.2
    record_backend_request("openai", "/v1/models", 0.3)
    assert len(callables.calls) == 2


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_every_server_error_has_one(client_without_exceptions: Client):
    for number in range(5):
        callables.returned.append({"job": str(number)})
        client_without_exceptions.get("/fail/")

    assert len(callables.calls) == 5
    assert labels_in(REQUESTS) == [{"job": "4"}]


@pytest.fixture
def client_without_exceptions(client: Client) -> Client:
    client.raise_request_exception = False
    return client


def test_the_setting_may_change(client: Client):
    with override_settings(TACHIKOMA_METRICS=AUTO):
        client.get("/hello/", headers={"traceparent": TRACEPARENT})
        assert labels_in(DURATIONS) == [LABELS]
    with override_settings(TACHIKOMA_METRICS={}):
        client.get("/teapot/", headers={"traceparent": TRACEPARENT})
        assert len(labels_in(DURATIONS)) == 1
    with override_settings(TACHIKOMA_METRICS=AUTO):
        client.get("/teapot/", headers={"traceparent": TRACEPARENT})
        assert len(labels_in(DURATIONS)) == 2


@override_settings(TACHIKOMA_METRICS=CALLABLE)
def test_an_amount_that_is_no_number_is_reported_as_without_exemplars():
    callables.returned.append({"job": "1"})
    record_backend_request("openai", "/v1/models", float("nan"))
    record_backend_request("openai", "/v1/models", -1)

    assert exemplars_of("backend_request_duration_seconds_bucket") == []
    assert sample_value("tachikoma_metrics_errors_total", source="backend") == 2
    assert errors() == 0


@override_settings(TACHIKOMA_METRICS=AUTO)
def test_a_label_set_that_was_removed_has_none(client: Client):
    client.get("/hello/", headers={"traceparent": TRACEPARENT})
    METRICS.http_request_duration_seconds.remove("GET", "/hello/")
    METRICS.http_request_duration_seconds.labels("GET", "/hello/").observe(0.0001)

    assert exemplars_of(DURATIONS) == []
    assert ("http_requests_total", frozenset()) not in samples()
