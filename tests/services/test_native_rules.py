"""``promtool`` of Prometheus 3 evaluates the rules about native histograms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tachikoma_metrics import conf
from tachikoma_metrics.monitoring import Objectives
from tests.services.alerting import ALL_DAY, COUNTED, fire, rising, write_rules
from tests.services.processes import program
from tests.services.prometheus import Promtool
from tests.services.test_rules import SETTINGS

NATIVE: dict[str, Any] = {"BUSINESS_METRICS": COUNTED, "NATIVE_HISTOGRAMS": True}
CONVERTED: dict[str, Any] = {"BUSINESS_METRICS": COUNTED}


@pytest.fixture
def promtool3(tmp_path: Path) -> Promtool:
    """Lend it: that of Prometheus 2 has no series of native histograms."""
    return Promtool(program("promtool3"), tmp_path)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_promtool_accepts_the_rules(each_promtool: Promtool, settings: dict[str, Any]):
    write_rules(each_promtool.folder, conf.read(settings), is_native=True)

    checked = each_promtool.run("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")

    assert (checked.returncode, checked.stderr) == (0, "")


def histogram(fast: float, slow: float) -> str:
    """Return a native histogram with so many up to a quarter and between one and two."""
    buckets = f"offset:-2 buckets:[{fast} 0 0 {slow}]"
    return f"{{{{schema:0 sum:{slow} count:{fast + slow} {buckets}}}}}"


def converted(fast: float, slow: float) -> str:
    """Return one with such observations that was made of a classic one."""
    buckets = f"custom_values:[0.5 1 2] buckets:[{fast} 0 {slow}]"
    return f"{{{{schema:-53 sum:{slow} count:{fast + slow} {buckets}}}}}"


def rising_each_minute(one: str, minutes: int = 60) -> str:
    return f"{one}+{one}x{minutes}"


SLOW = [
    ("http_request_duration_seconds", 'method="GET",path="/"', "DjangoRequestsSlow"),
    ("db_query_duration_seconds", 'operation="select"', "DjangoDatabaseSlow"),
]


@pytest.mark.parametrize(("name", "labels", "alert"), SLOW)
@pytest.mark.parametrize(
    ("made", "settings"), [(histogram, NATIVE), (converted, CONVERTED)], ids=["native", "converted"]
)
@pytest.mark.parametrize("slow", [10, 4])
def test_slow_requests_and_queries_are_a_ticket(
    promtool3: Promtool,
    made: Any,
    settings: dict[str, Any],
    name: str,
    labels: str,
    alert: str,
    slow: int,
):
    series = {f'{name}{{job="shop",{labels}}}': rising_each_minute(made(100 - slow, slow))}
    expected = [f"{alert}/ticket"] if slow > 5 else []

    fire(promtool3, series, 60, *expected, settings=settings, is_native=True)


def test_a_few_slow_requests_of_a_quiet_service_raise_no_alert(promtool3: Promtool):
    # Nine in ten minutes.
    name = 'http_request_duration_seconds{job="shop",method="GET",path="/"}'
    series = {name: rising_each_minute(histogram(1, 0.9))}

    fire(promtool3, series, 60, settings=NATIVE, is_native=True)


@pytest.mark.parametrize(("limit", "expected"), [(0.25, True), (1.0, True), (2.0, False)])
def test_a_limit_between_two_classic_bounds_is_used_as_it_is(
    promtool3: Promtool, limit: float, expected: bool
):
    name = 'http_request_duration_seconds{job="shop",method="GET",path="/"}'
    series = {name: rising_each_minute(histogram(90, 10))}
    settings = {**NATIVE, "LATENCY_BUCKETS": [5]}

    fire(
        promtool3,
        series,
        60,
        *(["DjangoRequestsSlow/ticket"] if expected else []),
        objectives=Objectives(slow_after=limit),
        settings=settings,
        is_native=True,
    )


@pytest.mark.parametrize(("seconds", "expected"), [(60, ["DjangoRequestsStuck/page"]), (2400, [])])
def test_requests_that_do_not_end_page(promtool3: Promtool, seconds: int, expected: list[str]):
    series = {
        'http_requests_in_flight{job="shop",instance="a"}': "3x60 40x30",
        'http_request_duration_seconds{job="shop",method="GET",path="/"}': rising_each_minute(
            histogram(0, seconds), 90
        ),
    }
    # The requests that end are slow, too.
    slow = ["DjangoRequestsSlow/ticket"]

    fire(promtool3, series, 90, *expected, *slow, settings=NATIVE, is_native=True)


def test_tasks_that_became_slower_are_a_ticket(promtool3: Promtool):
    days = 2 * ALL_DAY
    quick, slow = histogram(10, 0), histogram(0, 10)
    name = 'task_run_duration_seconds{job="shop",task="mail",queue="celery"}'
    before = {name: f"{quick}+{quick}x{days}"}
    after = {name.replace('"celery"', '"b"'): f"_x{days - 120} {slow}+{slow}x120"}

    fire(
        promtool3,
        {**before, **after},
        days,
        "DjangoTasksSlow/ticket",
        settings=NATIVE,
        is_native=True,
        quiet_at=days - 120,
    )


def test_alerts_about_counters_are_the_same(promtool3: Promtool):
    labels = 'job="shop",instance="a",method="GET",path="/"'
    series = {
        f'http_requests_total{{{labels},status="200"}}': rising(950, 60),
        f'http_requests_total{{{labels},status="500"}}': rising(50, 60),
    }

    fire(promtool3, series, 60, "DjangoErrorBudgetBurn/page", settings=NATIVE, is_native=True)
