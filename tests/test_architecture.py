"""The map of the code, docs/project/architecture.md, agrees with the code."""

from __future__ import annotations

import importlib
import pkgutil
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import tachikoma_metrics

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "project" / "architecture.md").read_text()
NAME = "docs/project/architecture.md"
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
CONTRACTS = {contract["name"]: contract for contract in LINTER["contracts"]}

LEVELS: dict[str, int] = {
    name: level
    for level, layer in enumerate(reversed(CONTRACTS["Imports point downwards"]["layers"]), 1)
    for name in layer.split(" | ")
}
"""The level of each package and module in the layers of pyproject.toml; 1 is the lowest."""

ROWS: dict[str, tuple[int, str]] = {
    name: (int(level), may_import)
    for level, name, may_import in re.findall(
        r"^\| (\d+) \| `(\w+)` \| .+ \| ([^|]+) \|$", PAGE, re.MULTILINE
    )
}
"""The level and the last column of each row of the page's table."""

CODE = sorted(set(re.findall(r"`([^`\n]+)`", PAGE)))
PATHS = [code for code in CODE if re.fullmatch(r"[\w.-]+/[\w./-]*|[\w-]+\.(?:md|py|toml)", code)]
DOTTED = [
    code for code in CODE if re.fullmatch(r"[A-Za-z_]\w*(?:\.\w+)+", code) and code not in PATHS
]


def resolve(name: str) -> Any:
    """Return the module, or the member of one; raise LookupError with the part that is gone."""
    parts = name.split(".")
    found: Any = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], 2):
        path = ".".join(parts[:index])
        if not hasattr(found, part) and isinstance(found, ModuleType):
            try:
                importlib.import_module(path)
            except ModuleNotFoundError as error:
                if error.name != path:
                    raise
        try:
            found = getattr(found, part)
        except AttributeError:
            raise LookupError(path) from None
    return found


@pytest.mark.parametrize("name", DOTTED)
def test_every_name_on_the_page_exists(name: str):
    is_full = name.startswith(("prometheus_client.", "tachikoma_metrics."))
    full_name = name if is_full else f"tachikoma_metrics.{name}"

    try:
        resolve(full_name)
    except LookupError as error:
        pytest.fail(f"{NAME} names `{name}`, but {error} is gone. Update the page.", pytrace=False)


@pytest.mark.parametrize("path", PATHS)
def test_every_path_on_the_page_exists(path: str):
    assert (ROOT / path).exists(), f"{NAME} names the path `{path}`, which is gone."


def test_the_table_lists_exactly_the_packages_and_modules():
    existing = {module.name for module in pkgutil.iter_modules(tachikoma_metrics.__path__)}

    missing, gone = sorted(existing - ROWS.keys()), sorted(ROWS.keys() - existing)
    assert not missing, f"The table of {NAME} lacks {missing}."
    assert not gone, f"The table of {NAME} lists {gone}, which are gone."


@pytest.mark.parametrize("name", ROWS)
def test_the_table_agrees_with_the_layers(name: str):
    level, may_import = ROWS[name]

    assert level == LEVELS.get(name), f"{NAME} has `{name}` at another level than pyproject.toml."
    assert may_import == levels_below(level), f"{NAME}: wrong last column of `{name}`."


def levels_below(level: int) -> str:
    if level <= 2:
        return "level 1" if level == 2 else "nothing"
    return f"levels 1 to {level - 1}"


def test_the_page_names_the_modules_that_may_import_prometheus_client():
    (text,) = re.findall(r"These may import `prometheus_client`: (.+?)\.\n", PAGE, re.DOTALL)
    named = set(re.findall(r"`([\w.]+)`", text))

    assert named == {
        ignored.partition(" -> ")[0].removeprefix("tachikoma_metrics.").removesuffix(".*")
        for contract in LINTER["contracts"]
        if contract.get("forbidden_modules") == ["prometheus_client"]
        for ignored in contract["ignore_imports"]
    }


def test_the_page_names_the_packages_that_use_the_standard_library_only():
    (text,) = re.findall(r"^- (.+) use the standard library only", PAGE, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", text))

    assert named == {
        module.removeprefix("tachikoma_metrics.")
        for contract in LINTER["contracts"]
        if "django" in contract.get("forbidden_modules", ())
        for module in contract["source_modules"]
    }


def test_only_the_modules_that_the_page_names_import_celery():
    (text,) = re.findall(
        r"Only these modules import Celery: ([^.]+\..+?)\. A service", PAGE, re.DOTALL
    )
    package = Path(tachikoma_metrics.__file__).parent
    importing = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if re.search(r"^\s*(?:import|from) (?:celery|billiard)\b", path.read_text(), re.MULTILINE)
    }

    assert importing == set(re.findall(r"`([\w.]+)`", text))
