"""By which paths a service is known: those that stay the same over a deployment come first."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from django.test import override_settings

from tachikoma_metrics import conf
from tachikoma_metrics.registry import service
from tests.projects import Project


@pytest.fixture(autouse=True)
def _started_from_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PWD", raising=False)
    monkeypatch.setattr(sys, "argv", ["-c"])


@pytest.fixture
def app(tmp_path: Path) -> Path:
    for release in ("1", "2"):
        (tmp_path / "app" / "releases" / release / "src").mkdir(parents=True)
    return tmp_path / "app"


def lead(link: Path, target: Path) -> Path:
    if link.is_symlink():
        link.unlink()
    link.symlink_to(target)
    return link


def places(root: Path) -> list[Path]:
    return [Path(place) for place in service.places(str(root))]


def test_without_links_the_place_is_the_real_path(app: Path):
    assert places(app / "releases" / "1") == [app / "releases" / "1"]


def test_a_link_in_the_path_of_the_import_comes_first(app: Path):
    live = lead(app / "live", app / "releases" / "1")

    assert places(live) == [live, app / "releases" / "1"]
    assert places(live / "src") == [live / "src", app / "releases" / "1" / "src"]


def test_the_next_release_has_the_place_of_the_one_before(app: Path):
    live = lead(app / "live", app / "releases" / "1")
    before = places(live)
    lead(live, app / "releases" / "2")

    assert places(live)[0] == before[0]
    assert places(live)[1] != before[1]


def test_a_relative_link_is_one_too(app: Path):
    live = lead(app / "live", Path("releases/1"))

    assert places(live) == [live, app / "releases" / "1"]


@pytest.mark.parametrize("where", [".", "src", ".."])
def test_the_shell_may_know_the_link(app: Path, where: str, monkeypatch: pytest.MonkeyPatch):
    live = lead(app / "live", app / "releases" / "1")
    above = lead(app.parent / "linked", app)
    shell = {".": live, "src": live / "src", "..": above}[where]
    monkeypatch.setenv("PWD", str(shell))

    expected = above / "releases" / "1" if where == ".." else live
    assert places(app / "releases" / "1") == [expected, app / "releases" / "1"]


def test_what_the_shell_knows_of_another_release_is_nothing(
    app: Path, monkeypatch: pytest.MonkeyPatch
):
    live = lead(app / "live", app / "releases" / "2")
    for shell in (live, live / "src", live / "gone", "live", "/", ""):
        monkeypatch.setenv("PWD", str(shell))

        assert places(app / "releases" / "1") == [app / "releases" / "1"]


def test_the_path_of_the_script_may_have_the_link(app: Path, monkeypatch: pytest.MonkeyPatch):
    live = lead(app / "live", app / "releases" / "1")
    for script in ("manage.py", "venv/bin/gunicorn"):
        (app / "releases" / "1" / script).parent.mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(sys, "argv", [str(live / script)])

        assert places(app / "releases" / "1") == [live, app / "releases" / "1"]


def test_a_link_to_what_is_in_a_release_is_none_to_the_release(
    app: Path, monkeypatch: pytest.MonkeyPatch
):
    (app / "elsewhere").mkdir()
    lead(app / "elsewhere" / "src", app / "releases" / "1" / "src")
    monkeypatch.setenv("PWD", str(lead(app / "linked", app / "elsewhere") / "src"))

    assert places(app / "releases" / "1") == [app / "releases" / "1"]


@pytest.mark.parametrize("root", ["releases/1", "releases/1/src"])
def test_a_link_named_current_is_looked_for(app: Path, root: str):
    current = lead(app / "current", app / "releases" / "1")

    by_link = Path(str(app / root).replace(str(app / "releases" / "1"), str(current)))
    assert places(app / root) == [by_link, app / root]


def test_it_may_be_beside_the_releases(app: Path):
    current = lead(app / "releases" / "current", app / "releases" / "1")

    assert places(app / "releases" / "1") == [current, app / "releases" / "1"]


def test_one_that_leads_to_another_release_is_none(app: Path):
    lead(app / "current", app / "releases" / "2")

    assert places(app / "releases" / "1") == [app / "releases" / "1"]


@pytest.mark.parametrize("name", ["testcurrent", "current0", "pytest-current", "live"])
def test_links_of_other_names_are_not_looked_for(app: Path, name: str):
    lead(app / name, app / "releases" / "1")

    assert places(app / "releases" / "1") == [app / "releases" / "1"]


def test_a_directory_named_current_is_no_link(tmp_path: Path):
    (tmp_path / "current").mkdir()

    assert places(tmp_path / "current") == [tmp_path / "current"]


def test_the_link_by_which_it_was_started_wins_over_one_that_is_found(app: Path):
    lead(app / "current", app / "releases" / "1")
    live = lead(app / "live", app / "releases" / "1")

    assert places(live) == [live, app / "releases" / "1"]


def test_a_link_far_above_hides_none_that_is_found(app: Path):
    lead(app / "current", app / "releases" / "1")
    linked = lead(app.parent / "linked", app)
    (app / "releases" / "1" / "src" / "shop").mkdir()
    real = app / "releases" / "1" / "src"

    by_far = linked / "releases" / "1" / "src"
    assert places(by_far) == [app / "current" / "src", by_far, real]


def test_however_the_link_is_reached_the_place_is_one(app: Path):
    current = lead(app / "current", app / "releases" / "1")
    linked = lead(app.parent / "linked", app)

    assert places(linked / "current")[0] == places(current)[0] == current


def test_a_working_directory_that_is_gone_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(sys, "argv", ["manage.py"])
    service.forget()

    assert len(service.names()) == 1
    with override_settings():
        service.forget()
        assert len(service.names()) == 1
    service.forget()


def test_a_name_that_the_system_refuses_fails_nothing(monkeypatch: pytest.MonkeyPatch):
    for path in ("/" + "a" * 5000, "/dev/null/current", f"/proc/{os.getpid()}/nothing/here"):
        monkeypatch.setenv("PWD", path)

        assert places(Path("/nothing/of/this/kind")) == [Path("/nothing/of/this/kind")]


NAMES = "from tachikoma_metrics.registry import service; print(*service.names(), sep='\\n')"


def names_in(project: Project) -> list[str]:
    outcome = project.run_code(NAMES)
    assert outcome.stderr == ""
    return outcome.stdout.splitlines()


def test_a_name_has_the_settings_module_and_its_file(tmp_path: Path):
    project = Project(tmp_path / "shop")

    assert names_in(project) == [f"mysite.settings:{tmp_path}/shop/mysite/settings.py"]


def test_settings_may_be_a_package_and_their_package_a_namespace(tmp_path: Path):
    project = Project(tmp_path / "shop")
    package = tmp_path / "shop" / "mysite"
    (package / "__init__.py").unlink()
    (package / "settings").mkdir()
    (package / "settings.py").rename(package / "settings" / "__init__.py")
    lead(tmp_path / "current", tmp_path / "shop")

    assert names_in(project) == [
        f"mysite.settings:{tmp_path}/{home}/mysite/settings/__init__.py"
        for home in ("current", "shop")
    ]


def test_settings_that_are_a_link_belong_to_the_release_that_has_the_link(tmp_path: Path):
    project = Project(tmp_path / "shop")
    settings = tmp_path / "shop" / "mysite" / "settings.py"
    settings.rename(tmp_path / "shared.py")
    lead(settings, tmp_path / "shared.py")

    assert names_in(project) == [f"mysite.settings:{settings}"]


def test_what_a_link_leads_to_later_changes_nothing(app: Path):
    project = Project(app / "releases" / "3")
    lead(app / "current", app / "releases" / "3")
    code = f"""
import os
os.unlink({str(app / "current")!r})
os.symlink({str(app / "releases" / "1")!r}, {str(app / "current")!r})
{NAMES}
"""

    outcome = project.run_code(code)

    assert outcome.stdout.splitlines()[0] == f"mysite.settings:{app}/current/mysite/settings.py"


def test_without_settings_there_is_no_service(tmp_path: Path):
    assert Project(tmp_path / "shop").run_code(NAMES, setup="").stdout.strip() == ""


def test_with_settings_of_a_script_the_directory_tells(tmp_path: Path):
    setup = "from django.conf import settings; settings.configure(ROOT_URLCONF='shop.urls')"
    outcome = Project(tmp_path / "shop").run_code(NAMES, setup=setup)

    assert outcome.stdout.strip() == f"shop.urls:{tmp_path}/shop:-c"


def test_with_the_settings_the_service_is_another():
    # A test before may have asked for it with other settings in force.
    service.forget()
    before = service.names()
    with override_settings(TACHIKOMA_METRICS={"STORE_DIR": None}):
        assert service.names() != before

    assert service.names() == before
    assert conf.settings_module() == "tests.settings"
