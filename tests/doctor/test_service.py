"""What ``manage.py metrics_doctor`` finds without a server."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from django.test import override_settings

from tachikoma_metrics import METRICS, update_business_metrics
from tachikoma_metrics.store import LAYOUT_VERSION, STORE, Incomplete, bases
from tachikoma_metrics.store.names import name_of
from tests.doctor.endpoint import Doctor
from tests.projects import Project


def test_a_service_without_problems_has_no_errors(doctor: Doctor):
    code, findings = doctor()

    assert code == 0
    assert set(findings) == {
        "settings",
        "store",
        "access",
        "scrape",
        "processes",
        "instrumentation-errors",
        "cardinality",
    }
    assert findings["settings"]["status"] == findings["instrumentation-errors"]["status"] == "ok"


@pytest.mark.parametrize(
    ("declared", "about", "state", "said"),
    [
        ({"ENABLED": False}, "settings", "error", "ENABLED is False"),
        ({"NAMESPACE": "no good"}, "settings", "error", "E107"),
        ({"ALLOWED_NETWORKS": ["*"]}, "access", "warning", "networks *"),
        ({"TOKENS": ["a-secret-of-ours"]}, "access", "ok", "; 1 token."),
        (
            {"NATIVE_HISTOGRAMS": True},
            "native-histograms",
            "ok",
            "All histograms are native: a Prometheus that requests native histograms does not ",
        ),
        (
            {"NATIVE_HISTOGRAMS": ["db_query_duration_seconds"]},
            "native-histograms",
            "ok",
            "Of the histograms, db_query_duration_seconds are native",
        ),
        ({"STORE_DIR": None}, "store", "warning", "its own memory"),
        ({"STORE_DIR": "/dev/null/store"}, "settings", "warning", "W008"),
        ({"STORE_DIR": "/dev/null/store"}, "store", "error", "cannot be used"),
    ],
)
def test_settings_and_store_are_checked(
    doctor: Doctor, declared: dict[str, object], about: str, state: str, said: str
):
    with override_settings(TACHIKOMA_METRICS=declared):
        code, findings = doctor()

    assert findings[about]["status"] == state
    assert said in findings[about]["message"]
    assert code == (1 if "error" in {one["status"] for one in findings.values()} else 0)


def test_a_token_is_not_shown(doctor: Doctor):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["a-secret-of-ours"]}):
        assert "a-secret-of-ours" not in str(doctor())


def test_instrumentation_errors_and_full_metrics_are_reported(doctor: Doctor):
    with override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 3}):
        for number in range(5):
            METRICS.cache_hits_total.inc()
            METRICS.file_changes_total.labels("create", str(number)).inc()
        METRICS.count_error("tests", ValueError("on purpose"))
        code, findings = doctor()

    assert code == 1
    assert "1 in tests" in findings["instrumentation-errors"]["message"]
    assert "file_changes_total has 3 label sets" in findings["cardinality"]["message"]


@pytest.mark.django_db
def test_stale_business_metrics_are_an_error(doctor: Doctor):
    declared = {"BUSINESS_METRICS": {"missions_total": {"model": "missions.Mission"}}}
    with override_settings(TACHIKOMA_METRICS=declared):
        code, findings = doctor()
        assert (code, findings["business-metrics"]["status"]) == (1, "error")
        update_business_metrics()
        code, findings = doctor()

    assert (code, findings["business-metrics"]["status"]) == (0, "ok")


def test_unreadable_values_are_an_error(doctor: Doctor, monkeypatch: pytest.MonkeyPatch):
    def unreadable() -> NoReturn:
        raise Incomplete("/shm/slot-1", OSError(24, "Too many open files"))

    monkeypatch.setattr(STORE, "readings", unreadable)

    code, findings = doctor()

    assert code == 1
    assert "slot-1 cannot be read: [Errno 24] Too many" in findings["endpoint"]["message"]


def test_an_unreadable_file_of_tokens_is_an_error(doctor: Doctor):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["file:/nowhere/token"]}):
        code, findings = doctor()

    assert (code, findings["access"]["status"]) == (1, "error")
    assert "/nowhere/token" in findings["access"]["message"]


@pytest.mark.parametrize("networks", [["*"], ["0.0.0.0/0"], ["::/0", "private"]])
def test_access_from_everywhere_is_a_warning(doctor: Doctor, networks: list[str]):
    with override_settings(TACHIKOMA_METRICS={"ALLOWED_NETWORKS": networks}):
        _, findings = doctor()

    assert findings["access"]["status"] == "warning"


def test_invalid_settings_are_findings_and_not_logged(
    doctor: Doctor, caplog: pytest.LogCaptureFixture
):
    with override_settings(TACHIKOMA_METRICS={"NAMESPACE": "no good"}):
        _, findings = doctor()

    assert "E107" in findings["settings"]["message"]
    assert caplog.records == []
    assert findings["instrumentation-errors"]["status"] == "ok"


def test_a_silenced_check_is_no_finding(doctor: Doctor):
    with override_settings(MIDDLEWARE=[], SILENCED_SYSTEM_CHECKS=["tachikoma_metrics.W001"]):
        _, findings = doctor()

    assert findings["settings"]["status"] == "ok"


@pytest.mark.parametrize("digits", [100, 400, 5000])
def test_a_number_too_large_for_a_float_is_an_invalid_setting(doctor: Doctor, digits: int):
    with override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 10**digits}):
        code, findings = doctor()

    assert code == 1
    assert "E114" in findings["settings"]["message"]


@pytest.fixture
def auto(tmp_path: Path) -> Iterator[Project]:
    """Lend a project that shares its values where others do by default."""
    project = Project(tmp_path / "shop", "TACHIKOMA_METRICS = {}\n")
    yield project
    for version in range(10):
        for base in bases():
            shutil.rmtree(Path(base) / name_in(project, version), ignore_errors=True)


def name_in(project: Project, version: int = LAYOUT_VERSION) -> str:
    """Return the name of the directory that a project's processes share."""
    return name_of(f"mysite.settings:{project.home}/mysite/settings.py", version)


def findings_of(project: Project) -> dict[str, dict[str, str]]:
    printed = json.loads(project.run("metrics_doctor", "--json").stdout)
    return {finding["check"]: finding for finding in printed}


def test_the_command_creates_no_directory(auto: Project):
    findings = findings_of(auto)

    assert findings["store"]["message"].endswith(f"{name_in(auto)}.")
    assert findings["processes"]["message"].startswith("0 live processes")
    assert not any((Path(base) / name_in(auto)).exists() for base in bases())


def test_a_directory_of_another_version_is_reported(auto: Project):
    assert "other-versions" not in findings_of(auto)
    directory = Path(bases()[0]) / name_in(auto, LAYOUT_VERSION + 1)
    directory.mkdir(mode=0o700)

    left = findings_of(auto)["other-versions"]
    with (directory / "slot-0").open("w") as slot:
        fcntl.flock(slot, fcntl.LOCK_EX)
        in_use = findings_of(auto)["other-versions"]

    assert left["status"] == "ok"
    assert in_use["status"] == "warning"
    assert in_use["hint"] == "Restart these processes."
    for finding in (left, in_use):
        assert str(directory) in finding["message"]
