"""What is installed is what the constraint files say, and those fit ``pyproject.toml``."""

from __future__ import annotations

import configparser
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "constraints").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SHA256 = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Pin:
    """A requirement of a constraint file, and its hashes."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        return str(self.requirement.specifier).removeprefix("==")

    def applies(self, python: str) -> bool:
        """Return whether the pin is one for a Python, such as ``3.12``, on this system."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate(environment_of(python))


def environment_of(python: str) -> dict[str, str]:
    here = {key: str(value) for key, value in default_environment().items()}
    if here["python_version"] == python:
        return here
    return {**here, "python_version": python, "python_full_version": f"{python}.9"}


@cache
def pins(file: Path) -> list[Pin]:
    """Return what a constraint file pins."""
    text = re.sub(r"^#.*\n", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [_pin(line) for line in text.splitlines() if line.strip()]


def _pin(line: str) -> Pin:
    written, *hashes = line.split(" --hash=")
    return Pin(Requirement(written), tuple(f"--hash={one.strip()}" for one in hashes))


def environments() -> Iterator[tuple[str, frozenset[str], str]]:
    """Yield the constraint file, the groups and the oldest Python of what tox.ini has.

    The environments of tox.ini's first section differ by factors, which are its lines'.
    """
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    for factor in ("django52", "django60", "django61", "lowest"):
        yield (
            f"{factor}.txt",
            frozenset({"test", factor}),
            "3.12" if factor > "django52" else "3.10",
        )
    for name in tox.sections():
        section = tox[name]
        if "dependency_groups" not in section or name == "testenv":
            continue
        if "{old,new}" in name:
            yield "sdks-old.txt", frozenset({"sdks-old"}), "3.10"
            yield "sdks-new.txt", frozenset({"sdks-new"}), "3.10"
        elif section["constraints"]:
            file = Path(section["constraints"]).name
            yield file, frozenset(section["dependency_groups"].split()), "3.10"
    yield "test.txt", frozenset({"test"}), "3.10"
    yield "tox.txt", frozenset({"tox"}), "3.10"
    yield "dev.txt", frozenset({"dev"}), "3.10"


def required(group: str) -> Iterator[Requirement]:
    """Yield the requirements of a dependency group, and of those it includes."""
    for entry in PROJECT["dependency-groups"][group]:
        if isinstance(entry, str):
            yield Requirement(entry)
        else:
            yield from required(entry["include-group"])


WITHOUT_THE_PROJECT = {"api-paths.txt", "build.txt", "tox.txt"}


def wanted(file: str, groups: frozenset[str]) -> Iterator[Requirement]:
    """Yield all that the environment of a constraint file asks for."""
    if file not in WITHOUT_THE_PROJECT:
        yield from map(Requirement, PROJECT["project"]["dependencies"])
    for group in groups:
        yield from required(group)


def test_every_file_is_some_environments():
    assert {file for file, _, _ in environments()} == {file.name for file in FILES}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_pin_is_a_name_a_version_and_hashes(file: Path):
    for pin in pins(file):
        assert re.fullmatch(r"==[\w.!+-]+", str(pin.requirement.specifier)), pin
        assert pin.requirement.url is None
        assert pin.hashes
        assert all(map(SHA256.fullmatch, pin.hashes)), pin


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_file_names_an_index(file: Path):
    options = [line for line in file.read_text().splitlines() if line.startswith("-")]

    assert options == []
    assert "://" not in file.read_text()


def _id(value: object) -> str:
    return " ".join(sorted(value)) if isinstance(value, frozenset) else str(value)


@pytest.mark.parametrize(
    ("file", "groups", "oldest"), sorted(set(environments()), key=str), ids=_id
)
def test_the_pins_fit_what_the_project_asks_for(file: str, groups: frozenset[str], oldest: str):
    classified: list[Any] = PROJECT["project"]["classifiers"]
    pythons = re.findall(r"Python :: (3\.\d+)'", str(classified))
    pinned = pins(ROOT / "constraints" / file)

    for python in (one for one in pythons if int(one[2:]) >= int(oldest[2:])):
        here = {pin.name: pin.version for pin in pinned if pin.applies(python)}
        for asked in wanted(file, groups):
            if asked.marker is None or asked.marker.evaluate(environment_of(python)):
                version = here.get(canonicalize_name(asked.name), "none")
                assert version != "none", f"{asked} has no pin for Python {python}"
                assert asked.specifier.contains(version, prereleases=True), (asked, python)


def test_where_several_pins_have_one_name_one_of_them_is_for_a_python():
    for file in FILES:
        for python in ("3.10", "3.11", "3.12", "3.13", "3.14"):
            names = [pin.name for pin in pins(file) if pin.applies(python)]

            assert len(names) == len(set(names)), (file, python)


@pytest.mark.skipif("UV_CONSTRAINT" not in os.environ, reason="set by tox alone")
def test_what_is_installed_is_what_is_pinned():
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    file = Path(os.environ["UV_CONSTRAINT"])
    pinned = {pin.name: pin.version for pin in pins(file) if pin.applies(python)}
    installed = {str(canonicalize_name(found.name)): found.version for found in distributions()}

    assert installed.pop("tachikoma-metrics")
    assert {name: pinned.get(name) for name in installed} == installed
