"""A JSON API: lists, creation and change, a stream, and views that are slow or fail."""

from __future__ import annotations

import functools
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from celery.exceptions import OperationalError
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_http_methods

from missions.execution import ExecutionFailed, execute
from missions.models import FileChange, Mission, Spec, count_by_status
from missions.tasks import execute_spec, write_report
from tachikoma_metrics import record_file_change

View = Callable[..., HttpResponse]
Saved = TypeVar("Saved", bound=Model)

SUMMARY_CACHE_SECONDS = 2
BOARD_SIZE = 30
SLOWEST_SEARCH_SECONDS = 0.8


def api_view(*methods: str) -> Callable[[View], View]:
    """Allow these methods, without CSRF tokens, and answer 400 to invalid input."""

    def decorate(view: View) -> View:
        @csrf_exempt
        @require_http_methods(methods)
        @functools.wraps(view)
        def answer(request: HttpRequest, **arguments: Any) -> HttpResponse:
            try:
                return view(request, **arguments)
            except ValidationError as error:
                return errors(400, *error.messages)

        return answer

    return decorate


@api_view("GET", "POST")
def missions(request: HttpRequest) -> HttpResponse:
    """List the missions, or create one."""
    if request.method == "POST":
        created = Mission(**fields(request, "id", "name"))
        return JsonResponse(mission_json(saved(created)), status=201)
    return JsonResponse({"missions": [mission_json(one) for one in Mission.objects.all()]})


@api_view("GET", "DELETE")
def mission(request: HttpRequest, mission_id: uuid.UUID) -> HttpResponse:
    """Show a mission, or delete it."""
    found = get_object_or_404(Mission, id=mission_id)
    if request.method == "DELETE":
        found.delete()
        return HttpResponse(status=204)
    return JsonResponse(mission_json(found))


@require_GET
def summary(request: HttpRequest) -> HttpResponse:
    """Return the number of missions and of specs by status, cached for a moment."""
    numbers = cache.get_or_set("summary", count_by_status, SUMMARY_CACHE_SECONDS)
    return JsonResponse(numbers)


@api_view("GET", "POST")
def specs(request: HttpRequest, mission_id: uuid.UUID) -> HttpResponse:
    """List the specs of a mission, or create one."""
    found = get_object_or_404(Mission, id=mission_id)
    if request.method == "POST":
        created = Spec(mission=found, **fields(request, "id", "title", "status"))
        return JsonResponse(spec_json(saved(created)), status=201)
    return JsonResponse({"specs": [spec_json(one) for one in found.specs.all()]})


@api_view("GET", "PATCH")
def spec(request: HttpRequest, spec_id: uuid.UUID) -> HttpResponse:
    """Show a spec, or change its title or status."""
    found = get_object_or_404(Spec, id=spec_id)
    if request.method == "PATCH":
        for name, value in fields(request, "title", "status").items():
            setattr(found, name, value)
        saved(found)
    return JsonResponse(spec_json(found))


@api_view("POST")
def file_changes(request: HttpRequest, spec_id: uuid.UUID) -> HttpResponse:
    """Record a change that a spec made to a file."""
    found = get_object_or_404(Spec, id=spec_id)
    change = FileChange(spec=found, **fields(request, "id", "path", "change_type", "status"))
    saved(change)
    record_file_change(change.change_type, change.status)
    return JsonResponse({"id": str(change.id), "path": change.path}, status=201)


@api_view("POST")
def execution(request: HttpRequest, spec_id: uuid.UUID) -> HttpResponse:
    """Execute a spec with an LLM: now, or ``later`` in a Celery worker."""
    if not settings.LLM_BASE_URL:
        return errors(503, "Set LLM_BASE_URL to the URL of an OpenAI-compatible server, up to /v1.")
    found = get_object_or_404(Spec, id=spec_id)
    if request.body and fields(request, "later").get("later") is True:
        return execute_later(found)
    try:
        change = execute(found)
    except ExecutionFailed as error:
        return errors(502, str(error))
    return JsonResponse({**spec_json(found), "file_change": str(change.id)})


def execute_later(spec: Spec) -> HttpResponse:
    """Execute a spec in a Celery worker."""
    return sent(execute_spec, spec.id) or JsonResponse(spec_json(spec), status=202)


@api_view("POST")
def report(request: HttpRequest, mission_id: uuid.UUID) -> HttpResponse:
    """Write the report of a mission in a Celery worker, which fails without such a mission."""
    return sent(write_report, mission_id) or JsonResponse({"id": str(mission_id)}, status=202)


def sent(task: Any, argument: uuid.UUID) -> HttpResponse | None:
    """Send a task to the workers; return an error response if the broker is unavailable."""
    try:
        task.delay(str(argument))
    except OperationalError:
        return errors(503, "Set CELERY_BROKER_URL to a reachable broker.")
    return None


@require_GET
def export(request: HttpRequest, mission_id: uuid.UUID) -> StreamingHttpResponse:
    """Stream a mission and its specs, one line of JSON each."""
    found = get_object_or_404(Mission, id=mission_id)

    def lines() -> Iterator[str]:
        yield json.dumps(mission_json(found)) + "\n"
        for one in found.specs.iterator():
            yield json.dumps(spec_json(one)) + "\n"

    return StreamingHttpResponse(lines(), content_type="application/x-ndjson")


@require_GET
def board(request: HttpRequest) -> HttpResponse:
    """List specs with the number of their changes, by one query for each spec: an N+1."""
    specs = [
        {**spec_json(one), "file_changes": one.file_changes.count()}
        for one in Spec.objects.all()[:BOARD_SIZE]
    ]
    return JsonResponse({"specs": specs})


@require_GET
def search(request: HttpRequest) -> HttpResponse:
    """Find specs by their title, slowly: the time stands for that of a search engine."""
    text = request.GET.get("q", "")
    time.sleep(SLOWEST_SEARCH_SECONDS / (1 + len(text)))
    found = Spec.objects.filter(title__icontains=text)[:50]
    return JsonResponse({"specs": [spec_json(one) for one in found]})


def broken(request: HttpRequest) -> HttpResponse:
    """Fail, to produce errors in the metrics: in the ``part`` of the query, else by itself."""
    part = request.GET.get("part")
    if part == "database":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")
    if part == "cache":
        cache.set("broken", threading.Lock())
    raise RuntimeError("This view always fails.")


def errors(status: int, *messages: str) -> HttpResponse:
    """Return a response with error messages."""
    return JsonResponse({"errors": messages}, status=status)


def fields(request: HttpRequest, *names: str) -> dict[str, Any]:
    """Return the fields ``names`` that the JSON body of a request contains.

    Raises ``ValidationError`` if the body is not a JSON object.
    """
    try:
        body = json.loads(request.body)
        # JSON may contain a lone surrogate, which no database accepts.
        json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValidationError("The body should be valid JSON without lone surrogates.") from error
    if not isinstance(body, dict):
        raise ValidationError("The body should be a JSON object.")
    return {name: body[name] for name in names if name in body}


def saved(instance: Saved) -> Saved:
    """Validate and save ``instance``; raise ``ValidationError`` if it is not valid."""
    instance.full_clean()
    instance.save()
    return instance


def mission_json(mission: Mission) -> dict[str, str]:
    """Return the representation of a mission."""
    return {"id": str(mission.id), "name": mission.name}


def spec_json(spec: Spec) -> dict[str, str]:
    """Return the representation of a spec."""
    return {"id": str(spec.id), "title": spec.title, "status": spec.status}
