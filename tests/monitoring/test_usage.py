"""The dashboard has panels of the metrics that the project records, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.projects import Project

USUAL = [
    "Overview",
    "Service level objective",
    "HTTP",
    "Routes",
    "Saturation",
    "Database",
    "Cache",
    "Runtime",
]


def rows(project: Project, *arguments: str) -> list[str]:
    """Return the titles of the rows of the dashboard."""
    board = json.loads(project.run("metrics_dashboard", *arguments).stdout)
    return [panel["title"] for panel in board["panels"] if panel["type"] == "row"]


def test_a_new_project_has_no_rows_of_what_it_does_not_record(tmp_path: Path):
    assert rows(Project(tmp_path / "project")) == USUAL


def test_all_rows_are_written_if_asked_for(tmp_path: Path):
    added = ["WebSocket", "Tasks", "Commands", "LLM calls and tokens", "Upstream APIs", "Business"]

    assert sorted(rows(Project(tmp_path / "project"), "--all")) == sorted([*USUAL, *added])


@pytest.mark.parametrize(
    ("source", "row"),
    [
        ("from tachikoma_metrics import track_execution", "LLM calls and tokens"),
        ("import tachikoma_metrics as t\nt.record_execution", "LLM calls and tokens"),
        ("from tachikoma_metrics.backends import instrument_client", "Upstream APIs"),
        ("from tachikoma_metrics import record_backend_request", "Upstream APIs"),
        ("from tachikoma_metrics.asgi import WebSocketMetricsMiddleware", "WebSocket"),
        ("from tachikoma_metrics import record_file_change", "Business"),
        ("import celery", "Tasks"),
        ("from django.tasks import task", "Tasks"),
        ("METRICS.file_changes_total.labels('a', 'b').inc()", "Business"),
    ],
)
def test_what_the_source_uses_has_a_row(tmp_path: Path, source: str, row: str):
    project = Project(tmp_path / "project", views=source)

    assert set(rows(project)) == {*USUAL, row}


def test_packages_beside_that_of_the_settings_are_searched_too(tmp_path: Path):
    project = Project(tmp_path / "project")
    (project.home / "llm").mkdir()
    (project.home / "llm" / "client.py").write_text("track_execution")

    assert "LLM calls and tokens" in rows(project)


@pytest.mark.parametrize("place", [".venv/lib", "venv/lib", "mysite/tests", "mysite/migrations"])
def test_other_source_is_not_searched(tmp_path: Path, place: str):
    project = Project(tmp_path / "project")
    (project.home / place).mkdir(parents=True)
    (project.home / place / "client.py").write_text("track_execution")
    if place.startswith("venv"):
        (project.home / "venv" / "pyvenv.cfg").touch()

    assert rows(project) == USUAL


def test_a_business_metric_that_is_declared_has_a_row(tmp_path: Path):
    declared = {"users": {"model": "auth.User"}}
    settings = f'TACHIKOMA_METRICS["BUSINESS_METRICS"] = {declared}'

    assert rows(Project(tmp_path / "project", settings)) == [*USUAL[:-1], "Business", USUAL[-1]]


def test_commands_that_are_measured_have_a_row(tmp_path: Path):
    settings = 'TACHIKOMA_METRICS["COMMANDS"] = ["clearsessions"]'

    assert "Commands" in rows(Project(tmp_path / "project", settings))


def test_the_reason_for_a_panel_that_is_left_out_is_printed(tmp_path: Path):
    printed = Project(tmp_path / "project").run("metrics_dashboard", "-v", "2").stderr

    assert "nothing in the project records `executions_total`." in printed
