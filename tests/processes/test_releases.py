"""Processes of one service that know different paths of it, and a link that leads elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.projects import SETTINGS
from tests.starter import start

MEMBER = """
import os, sys
import django
django.setup()
from django.test.utils import override_settings
from tachikoma_metrics import METRICS
from tachikoma_metrics.registry import service
from tachikoma_metrics.store import STORE
from tachikoma_metrics.testing import sample_value

def count(number):
    METRICS.cache_hits_total.inc(int(number))

def look():
    STORE.revisit()
    METRICS.cache_hits_total.inc(0)

def forked(number):
    pid = os.fork()
    if pid == 0:
        count(number)
        STORE.finish()
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0

for line in sys.stdin:
    word, *arguments = line.split()
    if word == "end":
        break
    answer = {
        "count": count,
        "look": look,
        "forked": forked,
        "total": lambda: sample_value("cache_hits_total"),
        "faults": lambda: sample_value("tachikoma_metrics_errors_total", source="store"),
        "where": lambda: STORE.where()[0],
    }[word](*arguments)
    print(answer, flush=True)
"""


class Member:
    """A process of a service, which does what it is told."""

    def __init__(self, path: Path, **environment: str) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.process = start(
            MEMBER,
            environment={**kept, "DJANGO_SETTINGS_MODULE": "mysite.settings", **environment},
            options=("-W", "error"),
            directory=Path("/"),
            paths=(str(path),),
        )
        self.directory = Path(self.ask("where"))

    def ask(self, *words: object) -> str:
        """Have one thing done; return what comes of it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    @property
    def total(self) -> float:
        """What all processes of the service have counted."""
        return float(self.ask("total"))

    def count(self, number: int) -> None:
        """Count, and remember where."""
        self.ask("count", number)
        self.directory = Path(self.ask("where"))

    def end(self) -> None:
        """Wait for the end."""
        self.process.communicate("end\n", timeout=60)
        assert self.process.returncode == 0


class App:
    """A service whose releases are directories, as tools for deployment make them."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        self.home = home
        self._stack = stack
        self.members: list[Member] = []

    def release(self, name: str) -> Path:
        """Return a release, made if it is not there."""
        release = self.home / "releases" / name
        if not release.exists():
            (release / "mysite").mkdir(parents=True)
            (release / "mysite" / "__init__.py").touch()
            settings = SETTINGS.format(home=self.home).replace(f'"{self.home}/store"', '"auto"')
            (release / "mysite" / "settings.py").write_text(settings, encoding="utf-8")
            (release / "mysite" / "urls.py").write_text("urlpatterns = []\n", encoding="utf-8")
        return release

    def lead(self, link: str, release: str) -> Path:
        """Have a link lead to a release."""
        path = self.home / link
        if path.is_symlink():
            path.unlink()
        path.symlink_to(self.release(release))
        return path

    def start(self, path: Path, **environment: str) -> Member:
        """Start a process that has the settings from ``path``."""
        member = Member(path, **environment)
        self._stack.enter_context(member.process)
        self._stack.callback(member.process.kill)
        self.members.append(member)
        return member

    def run(self, path: Path, number: int, **environment: str) -> None:
        """Run a command that counts, to its end."""
        member = self.start(path, **environment)
        member.count(number)
        member.end()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with ExitStack() as stack:
        app = App(tmp_path / "app", stack)
        stack.callback(_remove_all_of, app)
        yield app


def _remove_all_of(app: App) -> None:
    for directory in {member.directory for member in app.members}:
        for path in directory.parent.glob("tachikoma_metrics-*"):
            if path.is_symlink() and os.readlink(path) == directory.name:
                path.unlink()
        shutil.rmtree(directory, ignore_errors=True)


def test_nothing_moves_when_the_link_leads_to_the_next_release(app: App):
    current = app.lead("current", "1")
    first, second = app.start(current), app.start(current)
    first.count(70)
    second.count(30)
    app.run(current, 5)
    assert first.total == 105

    app.lead("current", "2")

    first.ask("look")
    assert [first.total, second.total, first.total] == [105, 105, 105]
    second.ask("look")
    assert [first.total, second.total] == [105, 105]


def test_what_is_started_from_the_next_release_joins(app: App):
    current = app.lead("current", "1")
    before = app.start(current)
    before.count(70)
    app.lead("current", "2")

    app.run(current, 30)
    # Started with its release as the working directory: the link is not known to it.
    app.run(app.release("2"), 5)

    assert before.total == 105


def test_a_worker_of_the_release_before_that_knows_the_real_path_joins(app: App):
    current = app.lead("current", "1")
    before = app.start(current)
    before.count(70)
    app.lead("current", "2")

    app.run(app.release("1"), 35)

    assert before.total == 105


@pytest.mark.parametrize("link", ["current", "live"])
def test_the_shell_s_path_joins_the_import_s(app: App, link: str):
    by_import = app.start(app.lead(link, "1"))
    by_import.count(70)
    app.lead(link, "2")

    app.run(app.release("2"), 35, PWD=str(app.home / link))

    assert by_import.total == 105


def test_a_link_of_any_name_is_known_to_who_has_the_real_path(app: App):
    live = app.lead("live", "1")
    by_link, by_path = app.start(live), app.start(app.release("1"))
    by_link.count(70)
    by_path.count(35)

    assert [by_link.total, by_path.total] == [105, 105]


def test_who_has_the_link_joins_who_came_first_and_so_does_the_next_release(app: App):
    by_path = app.start(app.release("1"))
    by_path.count(70)
    app.run(app.lead("live", "1"), 30)
    app.run(app.lead("live", "2"), 5)

    assert by_path.total == 105


def test_another_checkout_of_the_same_project_does_not_meet(app: App):
    live = app.start(app.lead("live", "1"))
    live.count(70)

    another = app.start(app.release("2"))
    another.count(30)

    assert [live.total, another.total] == [70, 30]


def test_two_links_to_one_release_do_not_meet(app: App):
    blue, green = app.start(app.lead("blue", "1")), app.start(app.lead("green", "1"))
    blue.count(70)
    green.count(30)

    assert [blue.total, green.total] == [70, 30]


def test_children_stay_with_their_parent(app: App):
    parent = app.start(app.lead("current", "1"))
    parent.count(70)
    app.lead("current", "2")
    shutil.rmtree(app.release("1"))

    parent.ask("forked", 35)

    assert parent.total == 105


def test_a_child_of_a_parent_that_counted_nothing_knows_the_link_it_was_loaded_by(app: App):
    current = app.lead("current", "1")
    before, parent = app.start(current), app.start(app.release("1"))
    before.count(70)
    app.lead("current", "2")

    parent.ask("forked", 35)

    assert before.total == 105


def test_aliases_come_back_with_the_directory(app: App):
    live = app.lead("live", "1")
    by_link = app.start(live)
    by_link.count(70)
    for path in by_link.directory.parent.glob("tachikoma_metrics-*"):
        if path.is_symlink() and os.readlink(path) == by_link.directory.name:
            path.unlink()
    shutil.rmtree(by_link.directory)

    by_link.ask("look")
    app.run(app.release("1"), 35)

    assert by_link.total == 105
    assert by_link.ask("faults") in ("None", "0.0")


def test_a_process_that_makes_a_directory_removes_those_of_services_gone(app: App):
    gone = app.start(app.release("1"))
    gone.count(1)
    gone.end()
    for path in (*gone.directory.iterdir(), gone.directory):
        os.utime(path, (0, 0))

    app.start(app.release("2")).count(1)

    assert not gone.directory.exists()
