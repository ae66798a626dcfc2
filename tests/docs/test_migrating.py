"""The table of queries: what is asked of django-prometheus is there, and what is asked of us."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass

import pytest

from tests.docs.names import Labels, faults_of_query
from tests.docs.pages import ROOT

GUIDE = ROOT / "docs" / "guides" / "migrating.md"

_ROW = re.compile(r"\| (?P<what>[^|]+) \| `(?P<theirs>[^`|]+)` \| (?P<ours>[^|]+) \|")
_CODE = re.compile(r"`([^`]*)`")

# In a process of its own: here, its families would be on the page of other tests.
_THEIR_FAMILIES = """
import json
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django_prometheus"], PROMETHEUS_EXPORT_MIGRATIONS=False)
django.setup()
import django_prometheus.cache.metrics, django_prometheus.db.metrics
import django_prometheus.middleware, django_prometheus.migrations, django_prometheus.models
from prometheus_client import REGISTRY
django_prometheus.middleware.Metrics.get_instance()
collectors = {c for c in REGISTRY._collector_to_names if getattr(c, "_type", None)}
print(json.dumps([
    [c._type, c._name, c._labelnames] for c in collectors if c._name.startswith("django_")
]))
"""
_SAMPLES = {
    "counter": ["{}_total"],
    "gauge": ["{}"],
    "histogram": ["{}_bucket", "{}_count", "{}_sum"],
}


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    theirs: str
    ours: str


def rows() -> list[Row]:
    text = GUIDE.read_text(encoding="utf-8").partition("## Query mapping")[2]
    lines = [line for line in text.splitlines() if line.startswith("| ") and "`" in line]
    matches = [_ROW.fullmatch(line) for line in lines]
    assert None not in matches, lines[matches.index(None)]
    return [Row(match["what"], match["theirs"], match["ours"]) for match in matches if match]


@pytest.fixture(scope="module")
def families() -> list[tuple[str, str, list[str]]]:
    """Return the families of django-prometheus that is installed."""
    told = subprocess.run(
        [sys.executable, "-c", _THEIR_FAMILIES], capture_output=True, check=True, timeout=60
    )
    return [(kind, name, labels) for kind, name, labels in json.loads(told.stdout)]


@pytest.fixture(scope="module")
def theirs(families: list[tuple[str, str, list[str]]]) -> dict[str, Labels]:
    """Return its samples, and their labels."""
    return {
        pattern.format(name): frozenset(labels) | ({"le"} if "bucket" in pattern else set())
        for kind, name, labels in families
        for pattern in _SAMPLES[kind]
    }


def test_there_is_a_table():
    assert len(rows()) > 25


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.what)
def test_what_is_asked_of_django_prometheus_is_there(row: Row, theirs: dict[str, Labels]):
    assert faults_of_query(row.theirs, theirs) == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.what)
def test_what_is_asked_of_us_is_there_or_has_no_counterpart(row: Row):
    if not row.ours.startswith(("none", "the same, ")):
        assert faults_of_query(_CODE.findall(row.ours)[0]) == []


def test_no_family_of_django_prometheus_is_left_out(families: list[tuple[str, str, list[str]]]):
    asked = " ".join(row.theirs for row in rows())

    assert [name for _, name, _ in families if not re.search(rf"\b{name}(_|\b)", asked)] == []
