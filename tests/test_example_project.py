from __future__ import annotations

import io
import json
import threading
import uuid
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any
from unittest import mock

import pytest
from celery.exceptions import OperationalError
from django.contrib.auth.models import User
from django.core.cache import cache
from django.core.management import call_command
from django.db import transaction
from django.test import Client, override_settings
from fake_llm import TEXT, FakeLLM

from missions import sockets, tasks
from missions.execution import ExecutionFailed, ask
from missions.execution import client as llm_client
from missions.models import FileChange, Mission, Spec
from tachikoma_metrics import METRICS
from tachikoma_metrics.testing import increase_of, sample_value

pytestmark = pytest.mark.django_db

API = "/api/v1"
MISSION, SPEC, CHANGE = (str(uuid.UUID(int=number)) for number in (1, 2, 3))

CALLS: list[tuple[str, str, object]] = [
    ("POST", "/missions/", {"id": MISSION, "name": "Serve metrics"}),
    ("POST", "/missions/", {"id": MISSION, "name": "Twice"}),
    ("POST", "/missions/", {"name": ""}),
    ("POST", "/missions/", "not an object"),
    ("POST", "/missions/", {"name": "lone surrogate: \ud800"}),
    ("GET", "/missions/", None),
    ("PUT", "/missions/", None),
    ("GET", f"/missions/{MISSION}/", None),
    ("GET", f"/missions/{SPEC}/", None),
    ("GET", "/missions/not-a-uuid/", None),
    ("POST", f"/missions/{MISSION}/specs/", {"id": SPEC, "title": "Größe 🚀"}),
    ("POST", f"/missions/{MISSION}/specs/", {"title": "x", "status": "unknown"}),
    ("GET", f"/missions/{MISSION}/specs/", None),
    ("PATCH", f"/specs/{SPEC}/", {"status": "done"}),
    ("PATCH", f"/specs/{SPEC}/", {"status": "unknown"}),
    ("GET", f"/specs/{SPEC}/", None),
    ("GET", f"/missions/{MISSION}/export/", None),
    ("HEAD", f"/missions/{MISSION}/export/", None),
    (
        "POST",
        f"/specs/{SPEC}/file-changes/",
        {"id": CHANGE, "path": "a.py", "change_type": "create", "status": "applied"},
    ),
    ("POST", f"/specs/{SPEC}/file-changes/", {"path": "a.py"}),
    ("GET", "/board/", None),
    ("GET", "/search/?q=measure", None),
    ("GET", "/broken/", None),
    ("GET", "/broken/?part=database", None),
    ("GET", "/broken/?part=cache", None),
    ("OPTIONS", "/broken/", None),
    ("DELETE", f"/missions/{MISSION}/", None),
    ("GET", "/missions/", None),
]


def call(client: Client, method: str, path: str, body: object) -> Any:
    client.raise_request_exception = False
    data = "" if body is None else json.dumps(body)
    return client.generic(method, API + path, data, content_type="application/json")


def responses(middleware: list[str], client: Client) -> list[tuple[int, dict[str, str], bytes]]:
    """Make all calls in a transaction that is rolled back."""
    with transaction.atomic(), override_settings(MIDDLEWARE=middleware):
        collected = []
        for method, path, body in CALLS:
            response = call(client, method, path, body)
            collected.append((response.status_code, dict(response.headers), response.getvalue()))
        transaction.set_rollback(True)
    return collected


def test_responses_are_identical_with_and_without_the_middleware(settings: Any, client: Client):
    middleware, *others = settings.MIDDLEWARE
    assert middleware == "tachikoma_metrics.middleware.MetricsMiddleware"

    without = responses(others, client)
    instrumented = responses([middleware, *others], client)

    assert instrumented == without
    assert {status for status, _, _ in without} == {200, 201, 204, 400, 404, 405, 500}


def test_every_call_is_counted_by_route_and_status(client: Client):
    for arguments in CALLS:
        call(client, *arguments).getvalue()

    def requests(method: str, path: str, status: int) -> float | None:
        labels = {"method": method, "path": API + path, "status": str(status)}
        return sample_value("http_requests_total", **labels)

    assert requests("POST", "/missions/", 201) == 1
    assert requests("POST", "/missions/", 400) == 4
    assert requests("GET", "/missions/", 200) == 2
    assert requests("GET", "/missions/:id/", 200) == 1
    assert requests("GET", "/missions/:id/", 404) == 1
    assert requests("PATCH", "/specs/:id/", 200) == 1
    assert requests("GET", "/missions/:id/export/", 200) == 1
    assert requests("HEAD", "/missions/:id/export/", 405) == 1
    assert requests("GET", "/broken/", 500) == 3
    assert sample_value("http_exceptions_total", exception="OperationalError") == 1
    assert sample_value("db_errors_total", error_type="OperationalError") == 1
    assert sample_value("cache_errors_total", operation="set") == 1
    assert sample_value("file_changes_total", change_type="create", status="applied") == 1


def test_an_export_streams_a_mission_and_its_specs(client: Client):
    mission = Mission.objects.create(name="Serve metrics")
    Spec.objects.create(mission=mission, title="One")

    lines = client.get(f"{API}/missions/{mission.id}/export/").getvalue().splitlines()

    assert [json.loads(line).get("title") for line in lines] == [None, "One"]


def test_the_seed_command_creates_rows_once():
    call_command("seed", verbosity=0, stdout=mock.Mock())
    call_command("seed", verbosity=0, stdout=mock.Mock())

    assert Mission.objects.count() == 3
    assert Spec.objects.count() == 6


@pytest.mark.parametrize("model", ["mission", "spec", "filechange"])
def test_the_admin_shows_every_model(client: Client, model: str):
    client.force_login(User.objects.create_superuser("root"))
    mission = Mission.objects.create(name="Serve metrics")
    spec = Spec.objects.create(mission=mission, title="One")
    FileChange.objects.create(spec=spec, path="a.py", change_type="create")

    assert client.get(f"/admin/missions/{model}/").status_code == 200


def test_the_admin_is_measured_by_route(client: Client):
    client.get("/admin/missions/spec/")

    labels = {"method": "GET", "path": "/admin/missions/spec/", "status": "302"}
    assert sample_value("http_requests_total", **labels) == 1


def test_the_model_operations_of_django_prometheus_are_exposed():
    def increase(name: str) -> Any:
        return increase_of(f"django_model_{name}_total", model="mission")

    with increase("inserts") as inserts, increase("updates") as updates:
        mission = Mission.objects.create(name="Serve metrics")
        mission.name = "Serve all metrics"
        mission.save()
    with increase("deletes") as deletes:
        mission.delete()

    assert (inserts.amount, updates.amount, deletes.amount) == (1, 1, 1)
    assert "# TYPE django_model_inserts_total counter" in METRICS.encode()


def test_the_migrations_are_complete():
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_the_models_have_readable_names():
    mission = Mission(name="Serve metrics")
    spec = Spec(mission=mission, title="One")
    change = FileChange(spec=spec, path="a.py", change_type="create")

    names = [str(thing) for thing in (mission, spec, change)]
    assert names == ["Serve metrics", "One", "create a.py"]


@pytest.fixture
def spec() -> Spec:
    return Spec.objects.create(mission=Mission.objects.create(name="Serve"), title="Say one word")


@pytest.fixture
def llm(settings: Any) -> Iterator[None]:
    """Run a fake LLM server whose request count is zero."""
    fresh = type("Fresh", (FakeLLM,), {"numbers": iter(range(1, 100))})
    with ThreadingHTTPServer(("127.0.0.1", 0), fresh) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        settings.LLM_BASE_URL = f"http://127.0.0.1:{server.server_port}/v1"
        yield
        llm_client(settings.LLM_BASE_URL).close()
        llm_client.cache_clear()
        server.shutdown()


def execute(client: Client, spec: Spec, body: object = None) -> Any:
    response = call(client, "POST", f"/specs/{spec.id}/execute/", body)
    spec.refresh_from_db()
    return response


@pytest.mark.usefixtures("llm")
def test_a_spec_is_executed_by_an_llm_and_measured(client: Client, spec: Spec):
    response = execute(client, spec)

    change = spec.file_changes.get()
    assert (response.status_code, spec.status, change.status) == (200, "done", "applied")
    assert response.json() == {
        "id": str(spec.id),
        "title": "Say one word",
        "status": "done",
        "file_change": str(change.id),
    }
    labels = {"backend": "openai", "model": "demo-model"}
    assert sample_value("executions_total", **labels, status="success") == 1
    assert sample_value("execution_tokens_total", **labels, type="prompt") == 3
    assert sample_value("executions_in_progress") == 0
    endpoint = "/v1/chat/completions"
    assert sample_value("backend_requests_total", backend="openai", endpoint=endpoint) == 1
    assert sample_value("file_changes_total", change_type="modify", status="applied") == 1


@pytest.mark.usefixtures("llm")
@pytest.mark.parametrize("stream", [True, False])
def test_the_fake_llm_server_answers_like_openai(settings: Any, stream: bool):
    request = {"model": "any", "messages": [{"role": "user", "content": "x"}], "stream": stream}

    answer = llm_client(settings.LLM_BASE_URL).post("chat/completions", json=request)

    content = answer.text if stream else answer.json()["choices"][0]["message"]["content"]
    assert TEXT.split()[-1] in content
    assert content.endswith("data: [DONE]\n\n") is stream


@pytest.mark.usefixtures("llm")
def test_ask_returns_the_response_of_the_llm(settings: Any):
    assert ask("Say anything.").strip() == TEXT


def test_the_summary_is_cached(client: Client, spec: Spec):
    cache.clear()

    answers = [call(client, "GET", "/summary/", None).json() for _ in range(3)]

    assert answers == [{"missions": 1, "specs": {"planned": 1}}] * 3
    assert (sample_value("cache_hits_total"), sample_value("cache_misses_total")) == (2, 1)


@pytest.mark.usefixtures("llm")
def test_every_tenth_execution_fails(client: Client, spec: Spec):
    statuses = [execute(client, spec).status_code for _ in range(10)]

    assert statuses == [200] * 9 + [502]
    assert spec.status == "failed"
    assert spec.file_changes.count() == 9
    labels = {"backend": "openai", "error_type": "rate_limit"}
    assert sample_value("backend_errors_total", **labels) == 1


def test_without_an_llm_the_error_names_the_setting(client: Client, spec: Spec, settings: Any):
    settings.LLM_BASE_URL = ""

    response = execute(client, spec)

    assert response.status_code == 503
    assert "LLM_BASE_URL" in response.json()["errors"][0]
    assert spec.status == "planned"


def test_a_spec_can_be_executed_in_a_worker(client: Client, spec: Spec, settings: Any):
    settings.LLM_BASE_URL = "http://127.0.0.1:9/v1"

    with mock.patch.object(tasks.execute_spec, "delay") as delay:
        response = execute(client, spec, {"later": True})

    delay.assert_called_once_with(str(spec.id))
    assert (response.status_code, spec.status) == (202, "planned")


def test_without_a_broker_the_error_names_the_setting(client: Client, spec: Spec, settings: Any):
    settings.LLM_BASE_URL = "http://127.0.0.1:9/v1"

    with mock.patch.object(tasks.execute_spec, "delay", side_effect=OperationalError):
        response = execute(client, spec, {"later": True})

    assert response.status_code == 503
    assert "CELERY_BROKER_URL" in response.json()["errors"][0]


def test_a_report_is_left_to_a_worker(client: Client):
    with mock.patch.object(tasks.write_report, "delay") as delay:
        response = call(client, "POST", f"/missions/{MISSION}/report/", {})

    delay.assert_called_once_with(MISSION)
    assert response.status_code == 202


def test_the_report_of_a_mission_is_logged(spec: Spec, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")

    tasks.write_report(str(spec.mission.id))

    assert caplog.messages[-1].endswith(": 0 of 1 specs are done.")
    with pytest.raises(Mission.DoesNotExist):
        tasks.write_report(MISSION)


def test_the_oldest_changes_are_deleted(spec: Spec):
    kept = [FileChange.objects.create(spec=spec, path=str(number)) for number in range(5)][3:]
    output = io.StringIO()

    call_command("prune_file_changes", keep=2, stdout=output)

    assert list(FileChange.objects.all()) == kept
    assert output.getvalue() == "Deleted 3 changes.\n"


def test_beat_deletes_the_oldest_changes(spec: Spec):
    FileChange.objects.bulk_create(FileChange(spec=spec, path="x") for _ in range(101))

    tasks.prune_file_changes()

    assert FileChange.objects.count() == 100


@pytest.mark.usefixtures("llm")
def test_the_task_executes_a_spec(spec: Spec):
    tasks.execute_spec(str(spec.id))

    spec.refresh_from_db()
    assert (spec.status, spec.file_changes.count()) == ("done", 1)


def test_a_task_without_a_response_fails(spec: Spec, settings: Any):
    settings.LLM_BASE_URL = "nowhere"

    with pytest.raises(ExecutionFailed):
        tasks.execute_spec(str(spec.id))

    spec.refresh_from_db()
    assert spec.status == "failed"
    llm_client.cache_clear()


def test_the_websocket_sends_missions_and_specs_by_status(spec: Spec):
    numbers = json.loads(sockets.numbers())

    assert numbers == {"missions": 1, "specs": {"planned": 1}}


async def talk(path: str, *messages: dict[str, Any]) -> list[Any]:
    """Return the messages to a WebSocket client that sends ``messages`` and disconnects."""
    from tachikoma.asgi import application

    coming = iter([{"type": "websocket.connect"}, *messages, {"type": "websocket.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(coming)

    async def send(message: Any) -> None:
        sent.append(message)

    with mock.patch.object(sockets, "numbers", return_value="{}"):
        await application({"type": "websocket", "path": path}, receive, send)
    return sent


async def test_the_websocket_answers_until_the_client_disconnects():
    sent = await talk("/ws/missions/", {"type": "websocket.receive", "text": "now"})

    assert sent[0] == {"type": "websocket.accept"}
    assert sent[1:] == [{"type": "websocket.send", "text": "{}"}] * 2
    assert sample_value("ws_connections_total") == 1
    assert sample_value("ws_connections_current") == 0


async def test_other_websocket_paths_are_rejected():
    assert await talk("/ws/other/") == [{"type": "websocket.close"}]
    assert sample_value("ws_connections_total") == 0
