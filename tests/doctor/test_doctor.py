"""``manage.py metrics_doctor``."""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn

import pytest
from django.core.management import CommandError, call_command
from django.test import Client, override_settings

from tachikoma_metrics import METRICS, update_business_metrics
from tachikoma_metrics.doctor import diagnosis, scraping
from tachikoma_metrics.store import LAYOUT_VERSION, STORE, Incomplete, bases
from tachikoma_metrics.store.directory import Directory
from tachikoma_metrics.store.names import name_of
from tests.projects import Project

over = threading.Event()
"""Set when a test has seen enough of an answer without end."""

Doctor = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Return what asks the doctor, and gets the exit code and the findings by subject."""

    def ask(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
        code = 0
        try:
            call_command("metrics_doctor", "--json", *arguments)
        except SystemExit as error:
            code = int(error.code or 0)
        told = json.loads(capsys.readouterr().out)
        assert told["is_wrong"] is bool(code)
        return code, {finding["about"]: finding for finding in told["findings"]}

    return ask


class _Page(BaseHTTPRequestHandler):
    status = 200
    body = ""
    location = ""
    ends = True
    tokens: list[str | None] = []
    when_asked: Callable[[], object] = staticmethod(lambda: None)

    def do_GET(self) -> None:
        self.when_asked()
        self.tokens.append(self.headers.get("Authorization"))
        body = self.body.encode()
        self.send_response(self.status)
        if self.location:
            self.send_header("Location", self.location)
        if self.ends:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
            while not self.ends and not over.is_set():
                self.wfile.write(b"a" * 100_000)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """Serve a page on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    over.clear()
    _Page.tokens, _Page.when_asked = [], staticmethod(lambda: None)

    def serve(body: str, status: int = 200, location: str = "", ends: bool = True) -> str:
        _Page.body, _Page.status, _Page.location, _Page.ends = body, status, location, ends
        return f"http://127.0.0.1:{server.server_address[1]}/metrics"

    yield serve
    over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_is_fine(doctor: Doctor):
    code, findings = doctor()

    assert code == 0
    assert {"settings", "store", "access", "cost", "processes", "faults", "series"} <= set(findings)
    assert findings["settings"]["state"] == findings["faults"]["state"] == "fine"


def test_it_speaks_to_people(capsys: pytest.CaptureFixture[str]):
    call_command("metrics_doctor", "--no-color")

    told = capsys.readouterr().out
    assert " fine  settings: The checks found nothing wrong.\n" in told
    assert "access: The endpoint may be read by: networks private.\n" in told


@pytest.mark.parametrize(
    ("declared", "about", "state", "said"),
    [
        ({"ENABLED": False}, "settings", "wrong", "`ENABLED`"),
        ({"NAMESPACE": "no good"}, "settings", "wrong", "E107"),
        ({"ALLOWED_NETWORKS": ["*"]}, "access", "look", "networks *"),
        ({"TOKENS": ["a-secret-of-ours"]}, "access", "fine", "; 1 token."),
        ({"STORE_DIR": None}, "store", "look", "memory of each process"),
        ({"STORE_DIR": "/dev/null/store"}, "settings", "look", "W008"),
        ({"STORE_DIR": "/dev/null/store"}, "store", "wrong", "No directory"),
    ],
)
def test_what_is_wrong_with_the_settings(
    doctor: Doctor, declared: dict[str, object], about: str, state: str, said: str
):
    with override_settings(TACHIKOMA_METRICS=declared):
        code, findings = doctor()

    assert findings[about]["state"] == state
    assert said in findings[about]["says"]
    assert code == (1 if "wrong" in {one["state"] for one in findings.values()} else 0)


def test_a_secret_is_not_told(doctor: Doctor):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["a-secret-of-ours"]}):
        assert "a-secret-of-ours" not in str(doctor())


def test_faults_and_full_families_are_told(doctor: Doctor):
    with override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 3}):
        for number in range(5):
            METRICS.cache_hits_total.inc()
            METRICS.file_changes_total.labels("create", str(number)).inc()
        METRICS.count_error("tests", ValueError("on purpose"))
        code, findings = doctor()

    assert code == 1
    assert "1 in tests" in findings["faults"]["says"]
    assert "file_changes_total has 3 label sets" in findings["series"]["says"]


@pytest.mark.django_db
def test_old_counts_are_told(doctor: Doctor):
    declared = {"BUSINESS_METRICS": {"missions_total": {"model": "missions.Mission"}}}
    with override_settings(TACHIKOMA_METRICS=declared):
        code, findings = doctor()
        assert (code, findings["business"]["state"]) == (1, "wrong")
        update_business_metrics()
        code, findings = doctor()

    assert (code, findings["business"]["state"]) == (0, "fine")


def test_a_server_is_asked(doctor: Doctor, served: Callable[..., str]):
    code, findings = doctor("--url", served(METRICS.encode()))

    assert code == 0
    assert findings["page"]["state"] == "fine"
    assert "1 live process." in findings["processes"]["says"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("not for you\n", 403, "answers 403: not for you"),
        ("", 404, "answers 404: "),
        ("<html>", 200, "not in the text format"),
        ("up 1\n", 200, "not that of tachikoma_metrics"),
    ],
)
def test_what_a_server_answers_instead_is_told(
    doctor: Doctor, served: Callable[..., str], body: str, status: int, said: str
):
    code, findings = doctor("--url", served(body, status))

    assert code == 1
    assert said in findings["page"]["says"]


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
def test_what_an_answer_503_means_is_told(
    doctor: Doctor, served: Callable[..., str], body: str, remedy: str
):
    code, findings = doctor("--url", served(body, 503))

    assert code == 1
    assert f"answers 503: {body.strip()}" in findings["page"]["says"]
    assert remedy in findings["page"]["remedy"]


def test_values_that_cannot_be_read_are_told(doctor: Doctor, monkeypatch: pytest.MonkeyPatch):
    def unreadable() -> NoReturn:
        raise Incomplete("/shm/slot-1", OSError(24, "Too many open files"))

    monkeypatch.setattr(STORE, "readings", unreadable)

    code, findings = doctor()

    assert code == 1
    assert "slot-1 cannot be read: [Errno 24] Too many" in findings["page"]["says"]


def test_another_version_is_told(doctor: Doctor, served: Callable[..., str]):
    code, findings = doctor("--url", served('tachikoma_metrics_info{version="0.0.1"} 1\n'))

    assert (code, findings["page"]["state"]) == (0, "look")


def test_a_server_that_is_not_there_is_told(doctor: Doctor):
    code, findings = doctor("--url", "http://127.0.0.1:1/metrics")

    assert code == 1
    assert "cannot be read" in findings["page"]["says"]


# --- whom it trusts -------------------------------------------------------------


def test_a_token_of_the_settings_is_sent(doctor: Doctor, served: Callable[..., str]):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["first-0000", "second-000"]}):
        code, _ = doctor("--url", served(METRICS.encode()))

    assert code == 0
    assert _Page.tokens == ["Bearer first-0000"]


def test_a_token_of_a_file_in_the_settings_is_sent(
    doctor: Doctor, served: Callable[..., str], tmp_path: Path
):
    (tmp_path / "token").write_text("of-a-file-0000\n")
    with override_settings(TACHIKOMA_METRICS={"TOKENS": [f"file:{tmp_path}/token"]}):
        doctor("--url", served(METRICS.encode()))

    assert _Page.tokens == ["Bearer of-a-file-0000"]


def test_a_token_that_is_given_is_preferred(
    doctor: Doctor, served: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "token").write_text("of-a-file-0000\n")
    monkeypatch.setenv("TACHIKOMA_METRICS_TOKEN", "of-the-environment")
    url = served(METRICS.encode())
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["of-the-settings"]}):
        doctor("--url", url)
        doctor("--url", url, "--token-file", f"{tmp_path}/token")
        doctor("--url", url, "--token", "of-the-command-line")

    assert _Page.tokens == [
        "Bearer of-the-environment",
        "Bearer of-a-file-0000",
        "Bearer of-the-command-line",
    ]


def test_a_file_without_a_token_is_told(served: Callable[..., str], tmp_path: Path):
    with pytest.raises(CommandError, match=r"--token-file: '.*absent' cannot be read: No such"):
        call_command("metrics_doctor", "--url", served(""), "--token-file", f"{tmp_path}/absent")


def test_a_token_that_is_refused_is_told(doctor: Doctor, served: Callable[..., str]):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["a-secret-of-ours"]}):
        code, findings = doctor("--url", served("No.", status=401))

    assert code == 1
    assert "The server has other `TOKENS`" in findings["page"]["remedy"]
    assert "--token-file" in findings["page"]["remedy"]
    assert "a-secret-of-ours" not in str(findings)


def test_a_token_that_no_header_carries_is_not_shown(doctor: Doctor, served: Callable[..., str]):
    code, findings = doctor("--url", served("up 1\n"), "--token", "s3cr3t\nX-Evil: 1")

    assert code == 1
    assert "s3cr3t" not in str(findings)
    assert _Page.tokens == []


@pytest.mark.parametrize("location", ["http://127.0.0.2:1/stolen", "file:///etc/passwd", "/x"])
def test_no_redirect_is_followed(doctor: Doctor, served: Callable[..., str], location: str):
    code, findings = doctor("--url", served("", 302, location), "--token", "s3cr3t-token")

    assert code == 1
    assert f"answers 302, a redirect to {location}" in findings["page"]["says"]
    assert _Page.tokens == ["Bearer s3cr3t-token"]


def test_no_proxy_gets_a_token(
    doctor: Doctor, served: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("http_proxy", served("up 1\n"))

    doctor("--url", "http://localhost:1/metrics", "--token", "s3cr3t-token")

    assert _Page.tokens == []


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("127.0.0.1:18500", "try http://127.0.0.1:18500/metrics."),
        ("localhost/metrics", "try http://localhost/metrics."),
        ("file:///etc/passwd", "begin with http:// or https://"),
        ("ftp://127.0.0.1/metrics", "begin with http:// or https://"),
        ("http://", "begin with http:// or https://"),
        ("http://127.0.0.1:99999999/", "begin with http:// or https://"),
        ("http://[::1/metrics", "begin with http:// or https://"),
        ("/metrics", "begin with http:// or https://"),
    ],
)
def test_what_is_no_url_of_a_server_is_told(doctor: Doctor, url: str, remedy: str):
    code, findings = doctor("--url", url)

    assert code == 1
    assert remedy in findings["page"]["remedy"]


def test_an_answer_without_end_is_not_read_to_its_end(
    doctor: Doctor, served: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scraping, "LARGEST_ANSWER", 1_000_000)
    code, findings = doctor("--url", served("", ends=False))

    assert code == 1
    assert "more than 1 MB" in findings["page"]["says"]


def test_an_answer_that_never_comes_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/metrics"
        (finding,) = diagnosis.of_server(url, seconds=0.05)

    assert finding.state == "wrong"
    assert "has not answered completely within 0.05 seconds" in finding.says


def test_what_is_no_http_at_all_is_told(doctor: Doctor):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        code, findings = doctor("--url", f"http://127.0.0.1:{server.getsockname()[1]}/metrics")
        thread.join()

    assert code == 1
    assert "cannot be read" in findings["page"]["says"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("\x1b]0;owned\x07\x1b[2J\x1b[1;32mAll is fine.\r\x1b[K fine", 403),
        ('tachikoma_metrics_info{version="\x1b[2J\u202eowned"} 1\n', 200),
    ],
)
def test_a_server_does_not_get_at_the_terminal(
    served: Callable[..., str], capsys: pytest.CaptureFixture[str], body: str, status: int
):
    with contextlib.suppress(SystemExit):
        call_command("metrics_doctor", "--no-color", "--url", served(body, status))

    told = capsys.readouterr().out
    assert "\N{REPLACEMENT CHARACTER}" in told
    assert all(letter.isprintable() or letter == "\n" for letter in told)


@pytest.mark.parametrize("body", ["up 1\n", "<html>", "", 'a{b="c"} 1 2 3 4\n', "a{"])
def test_nothing_more_is_said_of_a_page_of_others(
    doctor: Doctor, served: Callable[..., str], body: str
):
    code, findings = doctor("--url", served(body))

    assert code == 1
    assert list(findings) == ["page"]
    assert "Check the path of the URL; `PATH` is /metrics." in findings["page"]["remedy"]


def test_a_file_of_tokens_that_cannot_be_read_is_wrong(doctor: Doctor):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["file:/nowhere/token"]}):
        code, findings = doctor()

    assert (code, findings["access"]["state"]) == (1, "wrong")
    assert "/nowhere/token" in findings["access"]["says"]


@pytest.mark.parametrize("networks", [["*"], ["0.0.0.0/0"], ["::/0", "private"]])
def test_a_page_that_is_open_to_all_is_to_look_at(doctor: Doctor, networks: list[str]):
    with override_settings(TACHIKOMA_METRICS={"ALLOWED_NETWORKS": networks}):
        _, findings = doctor()

    assert findings["access"]["state"] == "look"


def test_wrong_settings_are_told_by_the_doctor_and_not_logged(
    doctor: Doctor, caplog: pytest.LogCaptureFixture
):
    with override_settings(TACHIKOMA_METRICS={"NAMESPACE": "no good"}):
        _, findings = doctor()

    assert "E107" in findings["settings"]["says"]
    assert caplog.records == []
    assert findings["faults"]["state"] == "fine"


def test_a_check_that_is_silenced_is_not_told(doctor: Doctor):
    with override_settings(MIDDLEWARE=[], SILENCED_SYSTEM_CHECKS=["tachikoma_metrics.W001"]):
        _, findings = doctor()

    assert findings["settings"]["state"] == "fine"


@pytest.mark.parametrize(
    ("number", "says"), [(0, "0 live"), (1, "1 live process."), (2, "2 live processes.")]
)
def test_numbers_and_nouns_agree(
    doctor: Doctor, served: Callable[..., str], number: int, says: str
):
    page = f'tachikoma_metrics_info{{version="0"}} 1\ntachikoma_metrics_processes {number}\n'

    _, findings = doctor("--url", served(page))

    assert says in findings["processes"]["says"]
    assert findings["processes"]["state"] == ("fine" if number else "look")


RECORDS = """
from django.apps import AppConfig

class Records(AppConfig):
    name = "mysite"

    def ready(self):
        from tachikoma_metrics import METRICS
        METRICS.file_changes_total.labels("create", "applied").inc()
"""


def test_the_command_is_none_of_the_processes_of_the_server(
    served: Callable[..., str], tmp_path: Path
):
    made = Project(tmp_path / "made", '\nINSTALLED_APPS += ["mysite.apps.Records"]\n', apps=RECORDS)
    store = Directory(str(made.home / "store"))
    seen: list[tuple[int, int]] = []

    def look() -> None:
        readings = list(store.readings(lambda error, about: None))
        seen.append((len(readings), sum(one.is_held for one in readings)))

    url = served(METRICS.encode())
    _Page.when_asked = staticmethod(look)
    done = made.run("metrics_doctor", "--url", url)

    assert done.returncode == 0
    assert seen == [(1, 0)]


def test_an_empty_url_is_refused_and_not_taken_for_none(doctor: Doctor):
    for url in ("", " "):
        with pytest.raises(CommandError, match="--url should be the URL of the metrics endpoint"):
            doctor("--url", url)


@pytest.mark.parametrize("option", ["--token", "--token-file"])
def test_a_token_without_a_url_is_refused(doctor: Doctor, option: str):
    with pytest.raises(CommandError, match="are for --url"):
        doctor(option, "anything")


@pytest.mark.parametrize("digits", [100, 400, 5000])
def test_a_number_that_no_float_holds_is_a_wrong_setting_and_does_not_end_the_doctor(
    doctor: Doctor, digits: int
):
    with override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 10**digits}):
        code, findings = doctor()

    assert code == 1
    assert "E114" in findings["settings"]["says"]


@pytest.mark.parametrize(
    ("declared", "remedy"),
    [
        ({"PERMISSION": "tests.nowhere.at_all"}, "`PERMISSION` returned something other than"),
        ({"TOKENS": 7}, "`manage.py check`"),
    ],
)
def test_what_no_network_and_no_token_changes_has_another_remedy(
    doctor: Doctor, served: Callable[..., str], declared: dict[str, Any], remedy: str
):
    with override_settings(TACHIKOMA_METRICS=declared):
        refused = Client().get("/metrics")
    _, findings = doctor("--url", served(refused.text, refused.status_code))

    assert remedy in findings["page"]["remedy"]
    assert "ALLOWED_NETWORKS" not in findings["page"]["remedy"]


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
    told = json.loads(project.run("metrics_doctor", "--json").stdout)
    return {finding["about"]: finding for finding in told["findings"]}


def test_it_leaves_no_directory_where_there_was_none(auto: Project):
    findings = findings_of(auto)

    assert findings["store"]["says"].endswith(f"{name_in(auto)}.")
    assert findings["processes"]["says"].startswith("0 live processes")
    assert not any((Path(base) / name_in(auto)).exists() for base in bases())


def test_it_tells_of_what_another_version_left(auto: Project):
    assert "layout" not in findings_of(auto)
    directory = Path(bases()[0]) / name_in(auto, LAYOUT_VERSION + 1)
    directory.mkdir(mode=0o700)

    left = findings_of(auto)["layout"]
    with (directory / "slot-0").open("w") as slot:
        fcntl.flock(slot, fcntl.LOCK_EX)
        in_use = findings_of(auto)["layout"]

    assert left["state"] == "fine"
    assert in_use["state"] == "look"
    assert in_use["remedy"] == "Restart them."
    for finding in (left, in_use):
        assert str(directory) in finding["says"]
