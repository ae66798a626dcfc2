from __future__ import annotations

import os
from pathlib import Path

import django
import pytest

import tachikoma_metrics


@pytest.mark.skipif("EXPECTED_DJANGO" not in os.environ, reason="set by tox alone")
def test_the_django_is_the_one_that_was_asked_for():
    assert django.__version__.startswith(os.environ["EXPECTED_DJANGO"])


def test_the_changelog_tells_of_the_version():
    changelog = Path(__file__).resolve().parent.parent / "CHANGELOG.md"

    assert f"## [{tachikoma_metrics.__version__}]" in changelog.read_text()
