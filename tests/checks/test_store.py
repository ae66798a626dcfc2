"""The directory in which processes share values."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import override_settings

from tests.conftest import found


def test_a_directory_that_cannot_be_used_is_a_warning(tmp_path: Path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (tmp_path / "file").touch()

    messages = {}
    for path in (open_to_all, tmp_path / "file" / "store"):
        with override_settings(TACHIKOMA_METRICS={"STORE_DIR": str(path)}):
            messages[path.name] = found()["W008"].msg

    assert "Change it to 700" in messages["open"]
    assert "must be in a writable directory" in messages["store"]
    assert "503" in messages["store"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_directory_that_other_users_can_replace_is_a_warning(tmp_path: Path, is_there: bool):
    above = tmp_path / "above"
    above.mkdir()
    store = above / "between" / "store"
    if is_there:
        store.mkdir(parents=True, mode=0o700)
    with override_settings(TACHIKOMA_METRICS={"STORE_DIR": str(store)}):
        above.chmod(0o777)
        message = found()["W008"].msg
        above.chmod(0o1777)
        assert found() == {}

    assert f"must not be below {above}" in message
    assert "alone" not in message


@pytest.mark.parametrize("name", [None, "auto", "missing/store"])
def test_the_checks_create_no_directory(tmp_path: Path, name: str | None):
    path = str(tmp_path / name) if name == "missing/store" else name
    with override_settings(TACHIKOMA_METRICS={"STORE_DIR": path}):
        assert found() == {}

    assert not list(tmp_path.iterdir())


def test_the_variable_of_the_multiprocess_mode_is_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/anywhere")

    assert "has no effect" in found()["W009"].msg
