"""The configuration of the guide to logging, in a process that has something to log."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "guides" / "logging.md"

PROGRAM = """
import django
from django.conf import settings

{block}
settings.configure(
    INSTALLED_APPS=["tachikoma_metrics"],
    LOGGING=LOGGING,
    MIDDLEWARE=["tachikoma_metrics.middleware.MetricsMiddleware"],
    ROOT_URLCONF="tachikoma_metrics.urls",
    TACHIKOMA_METRICS={{"CARDINALITY_LIMIT": "many", "STORE_DIR": None}},
)
django.setup()
from django.test import Client

Client().get("/")
Client().get("/")
"""


def test_an_invalid_setting_is_one_line_of_the_format_of_the_guide():
    block = PAGE.read_text().partition("```python\n")[2].partition("```")[0]

    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(block=block)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    lines = [line for line in done.stderr.splitlines() if " tachikoma_metrics: " in line]
    assert len(lines) == 1
    assert " ERROR " in lines[0]
    assert "Invalid setting (tachikoma_metrics.E" in lines[0]
    assert "CARDINALITY_LIMIT" in lines[0]
