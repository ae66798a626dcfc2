from __future__ import annotations

import configparser
import itertools
import os
import re
from importlib.metadata import metadata
from pathlib import Path

import django
import pytest

import tachikoma_metrics

ROOT = Path(__file__).resolve().parent.parent
DJANGO_60_NEEDS = "3.12"


def classified(prefix: str) -> list[str]:
    """Return the versions that the package's classifiers name after this prefix."""
    classifiers = metadata("tachikoma-metrics").get_all("Classifier") or []
    versions = (re.fullmatch(rf"{prefix} :: (\d+\.\d+)", one) for one in classifiers)
    return [version[1] for version in versions if version]


def environments() -> set[str]:
    """Return the names of what tox runs."""
    tox = configparser.ConfigParser(interpolation=None, strict=False)
    tox.read(ROOT / "tox.ini")
    names: set[str] = set()
    for line in tox["tox"]["env_list"].split():
        parts = [part.split(",") for part in re.split(r"[{}]", line)]
        names |= set(map("".join, itertools.product(*parts)))
    return names


def test_every_pair_of_versions_that_go_together_has_an_environment():
    pairs = itertools.product(
        classified("Programming Language :: Python"), classified("Framework :: Django")
    )
    expected = {
        f"py{python}-django{django}".replace(".", "")
        for python, django in pairs
        if python >= DJANGO_60_NEEDS or django == "5.2"
    }

    assert len(expected) == 11
    assert expected <= {re.sub("-(coverage|thorough)$", "", name) for name in environments()}


def test_the_readmes_command_runs_the_oldest_the_newest_and_every_django():
    tox = configparser.ConfigParser(interpolation=None, strict=False)
    tox.read(ROOT / "tox.ini")
    chosen = set(re.split(r",\s*", tox["tox"]["labels"].partition("=")[2].strip()))

    assert chosen <= environments()
    assert all(re.search(r"\bpy3|-thorough$", name) for name in environments() - chosen)
    pythons, djangos = (
        [version.replace(".", "") for version in classified(prefix)]
        for prefix in ("Programming Language :: Python", "Framework :: Django")
    )
    for python in (pythons[0], pythons[-1]):
        assert any(name.startswith(f"py{python}-") for name in chosen)
    # The oldest Django is that of the oldest versions.
    assert f"py{pythons[0]}-lowest" in chosen
    for django_version in djangos[1:]:
        assert any(f"-django{django_version}" in name for name in chosen)
    assert any(name.startswith(f"py{pythons[-1]}-django{djangos[-1]}") for name in chosen)


@pytest.mark.skipif("EXPECTED_DJANGO" not in os.environ, reason="set by tox alone")
def test_the_django_is_the_one_that_was_asked_for():
    assert django.__version__.startswith(os.environ["EXPECTED_DJANGO"])


def test_the_changelog_tells_of_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text()

    assert f"## [{tachikoma_metrics.__version__}]" in changelog
