"""A metric of the project is exposed in the place of a built-in one of its name."""

from __future__ import annotations

import subprocess
import sys

from prometheus_client import CollectorRegistry, Counter, Gauge

from tachikoma_metrics import (
    METRICS,
    record_cache_hit,
)
from tachikoma_metrics.testing import sample_value


def test_a_metric_that_the_project_makes_later_is_no_error_and_is_exposed(
    registry: CollectorRegistry,
):
    record_cache_hit()

    own = Counter("cache_hits_total", "The project's own.", registry=registry)
    own.inc(7)

    exposition = METRICS.encode()
    assert exposition.count("# TYPE cache_hits_total") == 1
    assert sample_value("cache_hits_total") == 7
    assert sample_value("cache_misses_total") == 0


def test_a_metric_that_would_clash_in_openmetrics_is_exposed_too(registry: CollectorRegistry):
    Gauge("cache_hits", "The project's own.", registry=registry).set(7)

    assert sample_value("cache_hits") == 7
    assert sample_value("cache_hits_total") is None


def test_a_metric_that_the_project_made_before_is_exposed():
    script = (
        "from prometheus_client import Counter\n"
        "Counter('cache_hits_total', 'Own.').inc(7)\n"
        "import django; from django.conf import settings\n"
        # The tests of other environments run at the same time, in one store of this user.
        "settings.configure(INSTALLED_APPS=['tachikoma_metrics'],"
        " TACHIKOMA_METRICS={'STORE_DIR': None}); django.setup()\n"
        "from tachikoma_metrics import METRICS, record_cache_hit\n"
        "record_cache_hit()\n"
        "assert 'cache_hits_total 7.0' in METRICS.encode()"
    )

    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
