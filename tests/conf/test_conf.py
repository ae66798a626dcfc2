from __future__ import annotations

import ast
import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from tachikoma_metrics import METRICS, catalogue, conf, record_cache_hit
from tachikoma_metrics.catalogue.definitions import Histogram
from tachikoma_metrics.testing import sample_value


def test_the_defaults_are_those_of_the_specification():
    config = conf.config()

    assert config.enabled is True
    assert config.path == "/metrics"
    assert config.include_process_metrics is True
    assert not config.global_labels
    assert config.latency_buckets == catalogue.LATENCY_BUCKETS
    assert config.size_buckets == catalogue.SIZE_BUCKETS


def test_settings_are_read_when_used():
    with override_settings(TACHIKOMA_METRICS={"PATH": "/elsewhere"}):
        assert conf.config().path == "/elsewhere"

    assert conf.config().path == "/metrics"


@pytest.mark.parametrize("declared", [None, "ENABLED", ["secret-token"], 1])
def test_a_setting_that_is_no_dictionary_leaves_the_defaults_and_is_counted(
    declared: object, caplog: pytest.LogCaptureFixture
):
    with override_settings(TACHIKOMA_METRICS=declared):
        assert dataclasses.replace(conf.config(), invalid_settings=()) == conf.Config()
        assert sample_value("tachikoma_metrics_errors_total", source="settings") == 1

    assert "Invalid TACHIKOMA_METRICS: " in caplog.text
    assert "secret-token" not in caplog.text


def test_every_invalid_setting_is_logged_and_counted(caplog: pytest.LogCaptureFixture):
    declared = {"LATENCY_BUCKETS": [1, 0.5], "NAMESPACE": "1st", "NAMESPCE": "shop"}
    with override_settings(TACHIKOMA_METRICS=declared):
        assert sample_value("tachikoma_metrics_errors_total", source="settings") == 3

    for text in ("Invalid LATENCY_BUCKETS", "Invalid NAMESPACE", "'NAMESPCE'"):
        assert text in caplog.text


@pytest.mark.parametrize("key", conf.SETTINGS)
def test_every_example_is_valid(key: str):
    setting = conf.SETTINGS[key]

    assert conf.read(ast.literal_eval(f"{{{setting.entry}}}")).invalid_settings == ()
    assert ast.literal_eval(setting.example) != setting.default
    assert f"Example: {setting.entry}" in setting.hint


def test_every_setting_stands_beside_those_of_its_topic():
    topics = [topic for topic, _ in itertools.groupby(conf.SETTINGS.values(), lambda s: s.topic)]

    assert len(set(topics)) == len(topics)


def test_every_default_meets_its_own_rule():
    for setting in conf.SETTINGS.values():
        assert conf.read({setting.key: setting.default}).invalid_settings == ()
    for family in catalogue.FAMILIES.values():
        if isinstance(family, Histogram):
            assert conf.read({"BUCKETS": {family.name: family.buckets}}).invalid_settings == ()


@override_settings(TACHIKOMA_METRICS={"LATENCY_BUCKETS": [1, 0.5], "NAMESPACE": "shop"})
def test_an_invalid_value_leaves_the_default_and_is_counted(caplog: pytest.LogCaptureFixture):
    assert conf.config().latency_buckets == catalogue.LATENCY_BUCKETS
    assert conf.config().namespace == "shop"
    assert sample_value("tachikoma_metrics_errors_total", source="settings") == 1


def test_an_invalid_value_is_logged_with_what_it_must_be(caplog: pytest.LogCaptureFixture):
    with override_settings(TACHIKOMA_METRICS={"LATENCY_BUCKETS": [1, 0.5]}):
        METRICS.encode()

    assert (
        "Invalid LATENCY_BUCKETS: [1, 0.5]. It must be a sorted list of positive numbers."
        in caplog.text
    )


@pytest.mark.parametrize(
    ("key", "value", "read"),
    [
        ("GLOBAL_LABELS", {"env": "prod"}, (("env", "prod"),)),
        ("GLOBAL_LABELS", [("env", "prod"), ["zone", "a"]], (("env", "prod"), ("zone", "a"))),
        ("SIZE_BUCKETS", (1, 2), (1.0, 2.0)),
        ("LABELS", {"http_requests_total": ["status"]}, {"http_requests_total": ("status",)}),
        ("PATH", None, None),
        ("STORE_DIR", None, None),
        ("STORE_DIR", "/run/shop", "/run/shop"),
        ("STORE_DIR", Path("/run/shop"), "/run/shop"),
        ("BUSINESS_METRICS", {"a": {"callable": "b.c"}}, {"a": {"callable": "b.c"}}),
        ("BUSINESS_INTERVAL", 15, 15.0),
        ("WORKER_PORT", None, None),
        ("PERMISSION", None, None),
        ("BUSINESS_MAX_AGE", None, None),
        ("INSTRUMENT_CACHES", ["default"], ("default",)),
        ("ALLOWED_NETWORKS", ["private", "192.0.2.0/24"], ("private", "192.0.2.0/24")),
        ("WORKER_PORT", 9100, 9100),
        ("PERMISSION", "shop.metrics.may_read", "shop.metrics.may_read"),
        ("BUSINESS_STORE", "cache", "cache"),
    ],
)
def test_a_valid_value_is_read(key: str, value: object, read: object):
    config = conf.read({key: value})

    assert config.invalid_settings == ()
    assert getattr(config, key.lower()) == read


def test_a_value_in_a_message_is_short_and_a_token_is_not_shown():
    config = conf.read({"TOKENS": "secret-token", "NAMESPACE": "1" * 1000})

    messages = {one.id: one.message for one in config.invalid_settings}
    assert "secret-token" not in messages["E125"]
    assert len(messages["E107"]) < 400


@override_settings(TACHIKOMA_METRICS={"ENABLED": False})
def test_nothing_is_recorded_if_disabled():
    record_cache_hit()

    with override_settings(TACHIKOMA_METRICS={}):
        assert sample_value("cache_hits_total") == 0


def run(script: str) -> subprocess.CompletedProcess[Any]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={"PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_package_works_without_configured_settings():
    script = (
        "from tachikoma_metrics import METRICS, record_execution\n"
        "record_execution('openai', 'gpt', 'success', 1.5, (3, 4))\n"
        "assert 'executions_total{backend=\"openai\"' in METRICS.encode()"
    )

    assert run(script).stderr == ""


def test_importing_the_package_starts_no_thread_and_needs_no_apps():
    script = (
        "import threading, sys\n"
        "import tachikoma_metrics\n"
        "assert threading.active_count() == 1\n"
        "assert 'django.contrib.auth.models' not in sys.modules"
    )

    assert run(script).stderr == ""


def test_what_was_recorded_before_the_settings_were_known_does_not_freeze_them(tmp_path: Path):
    # Not the store that scripts of this folder share, those of other environments included.
    declared = {"NAMESPACE": "shop", "STORE_DIR": str(tmp_path / "store")}
    script = (
        "from tachikoma_metrics import METRICS, record_cache_hit\n"
        "record_cache_hit()\n"
        "import django; from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['tachikoma_metrics'],\n"
        f"    TACHIKOMA_METRICS={declared}); django.setup()\n"
        "assert 'shop_cache_hits_total' in METRICS.encode()\n"
        "assert '\\ncache_hits_total' not in METRICS.encode()"
    )

    assert run(script).stderr == ""


def test_a_collector_that_records_while_it_is_registered_does_not_hang_the_start():
    script = (
        "from prometheus_client import REGISTRY\n"
        "from prometheus_client.core import GaugeMetricFamily\n"
        "from tachikoma_metrics import METRICS, record_cache_hit\n"
        "class Jobs:\n"
        "    def collect(self):\n"
        "        record_cache_hit()\n"
        "        yield GaugeMetricFamily('jobs', 'Jobs.', value=3)\n"
        "REGISTRY.register(Jobs())\n"
        "page = METRICS.encode()\n"
        "assert 'cache_hits_total 2.0' in page\n"
        "assert 'jobs 3.0' in page"
    )

    assert run(script).stderr == ""


def test_a_directory_of_prometheus_client_that_is_missing_does_not_stop_the_start():
    script = (
        "import os\n"
        "from prometheus_client import values\n"
        "os.environ['PROMETHEUS_MULTIPROC_DIR'] = '/nowhere/at/all'\n"
        "values.ValueClass = values.get_value_class()\n"
        "import django; from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['tachikoma_metrics'],\n"
        "    TACHIKOMA_METRICS={'STORE_DIR': None}); django.setup()\n"
        "from tachikoma_metrics import METRICS, record_cache_hit\n"
        "record_cache_hit()\n"
        "assert 'cache_hits_total 1.0' in METRICS.encode()"
    )

    assert run(script).stderr == ""
