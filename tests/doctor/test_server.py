"""What ``manage.py metrics_doctor --url`` says about the responses of a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client, override_settings

from tachikoma_metrics import METRICS
from tachikoma_metrics.store.directory import Directory
from tests.doctor.endpoint import Doctor, Endpoint, Serve
from tests.projects import Project


def test_a_running_server_is_scraped(doctor: Doctor, served: Serve):
    code, findings = doctor("--url", served(METRICS.encode()))

    assert code == 0
    assert findings["endpoint"]["status"] == "ok"
    assert "1 live process." in findings["processes"]["message"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("not for you\n", 403, "responds with 403: not for you"),
        ("", 404, "responds with 404: "),
        ("<html>", 200, "not in the Prometheus text format"),
        ("up 1\n", 200, "not that of tachikoma_metrics"),
    ],
)
def test_a_response_that_is_no_exposition_is_an_error(
    doctor: Doctor, served: Serve, body: str, status: int, said: str
):
    code, findings = doctor("--url", served(body, status))

    assert code == 1
    assert said in findings["endpoint"]["message"]


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        (
            "Service Unavailable: /dev/shm/a/slot-1 cannot be read: Too many open files.\n",
            "raise the limit of open files",
        ),
        (
            "Service Unavailable: What the other processes have counted cannot be read: no.\n",
            "share no directory",
        ),
        ("Service Unavailable: there are too many connections.\n", "sixteen"),
        ("<html>", "in front of the server"),
    ],
)
def test_a_response_503_has_the_hint_for_its_reason(
    doctor: Doctor, served: Serve, body: str, remedy: str
):
    code, findings = doctor("--url", served(body, 503))

    assert code == 1
    assert f"responds with 503: {body.strip()}" in findings["endpoint"]["message"]
    assert remedy in findings["endpoint"]["hint"]


def test_another_version_is_a_warning(doctor: Doctor, served: Serve):
    code, findings = doctor("--url", served('tachikoma_metrics_info{version="0.0.1"} 1\n'))

    assert (code, findings["endpoint"]["status"]) == (0, "warning")


def test_a_server_that_is_not_running_is_an_error(doctor: Doctor):
    code, findings = doctor("--url", "http://127.0.0.1:1/metrics")

    assert code == 1
    assert "cannot be read" in findings["endpoint"]["message"]


@pytest.mark.parametrize("body", ["up 1\n", "<html>", "", 'a{b="c"} 1 2 3 4\n', "a{"])
def test_another_endpoint_has_one_finding(doctor: Doctor, served: Serve, body: str):
    code, findings = doctor("--url", served(body))

    assert code == 1
    assert list(findings) == ["endpoint"]
    assert "Check the path of the URL; PATH is /metrics." in findings["endpoint"]["hint"]


@pytest.mark.parametrize(
    ("number", "says"), [(0, "0 live"), (1, "1 live process."), (2, "2 live processes.")]
)
def test_numbers_and_nouns_agree(doctor: Doctor, served: Serve, number: int, says: str):
    page = f'tachikoma_metrics_info{{version="0"}} 1\ntachikoma_metrics_processes {number}\n'

    _, findings = doctor("--url", served(page))

    assert says in findings["processes"]["message"]
    assert findings["processes"]["status"] == ("ok" if number else "warning")


@pytest.mark.parametrize(
    ("declared", "remedy"),
    [
        ({"PERMISSION": "tests.nowhere.at_all"}, "PERMISSION returned something other than"),
        ({"TOKENS": 7}, "`manage.py check`"),
    ],
)
def test_a_rejection_by_settings_has_its_own_hint(
    doctor: Doctor, served: Serve, declared: dict[str, Any], remedy: str
):
    with override_settings(TACHIKOMA_METRICS=declared):
        refused = Client().get("/metrics")
    _, findings = doctor("--url", served(refused.text, refused.status_code))

    assert remedy in findings["endpoint"]["hint"]
    assert "ALLOWED_NETWORKS" not in findings["endpoint"]["hint"]


RECORDS = """
from django.apps import AppConfig

class Records(AppConfig):
    name = "mysite"

    def ready(self):
        from tachikoma_metrics import METRICS
        METRICS.file_changes_total.labels("create", "applied").inc()
"""


def test_the_command_is_not_one_of_the_processes_of_the_server(served: Serve, tmp_path: Path):
    made = Project(tmp_path / "made", '\nINSTALLED_APPS += ["mysite.apps.Records"]\n', apps=RECORDS)
    store = Directory(str(made.home / "store"))
    seen: list[tuple[int, int]] = []

    def look() -> None:
        readings = list(store.readings(lambda error, about: None))
        seen.append((len(readings), sum(one.is_held for one in readings)))

    url = served(METRICS.encode())
    Endpoint.when_asked = staticmethod(look)
    done = made.run("metrics_doctor", "--url", url)

    assert done.returncode == 0
    assert seen == [(1, 0)]
