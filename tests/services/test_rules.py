"""``promtool`` checks the rules, and says when they fire."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tachikoma_metrics import catalogue, conf, monitoring
from tests.services.alerting import ALL_DAY, INFO, USUAL, durations, fire, rising, write_rules
from tests.services.prometheus import Promtool

SETTINGS: dict[str, dict[str, Any]] = {
    "usual": USUAL,
    "none": {},
    "namespace": {**USUAL, "NAMESPACE": "shop", "GLOBAL_LABELS": {"region": "north"}},
    "everything": {
        **USUAL,
        "EXTRA_METRICS": [name for name, family in catalogue.FAMILIES.items() if family.opt_in],
    },
    "labels": {
        "LABELS": {"http_requests_total": ["view"], "backend_errors_total": ["error_type"]},
        "DISABLED_METRICS": ["db_query_duration_seconds"],
    },
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_promtool_accepts_the_rules(each_promtool: Promtool, settings: dict[str, Any]):
    write_rules(each_promtool.folder, conf.read(settings))

    checked = each_promtool.run("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")

    assert (checked.returncode, checked.stderr) == (0, "")
    assert "SUCCESS" in checked.stdout


def test_promtool_accepts_links_to_the_dashboard(each_promtool: Promtool):
    url = "https://grafana.example.org/d/shop?orgId=1"
    severities = {"page": "critical", "ticket": "warning"}
    write_rules(each_promtool.folder, conf.read({}), dashboard_url=url, severities=severities)

    checked = each_promtool.run("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")

    assert (checked.returncode, checked.stderr) == (0, "")


def requests(ok: float, failed: float, minutes: int) -> dict[str, str]:
    """Return the series of a service that answers so many requests a minute."""
    labels = 'job="shop",instance="a",method="GET",path="/"'
    return {
        f'http_requests_total{{{labels},status="200"}}': rising(ok, minutes),
        f'http_requests_total{{{labels},status="500"}}': rising(failed, minutes),
    }


BURN_PAGES, BURN_IS_A_TICKET = "DjangoErrorBudgetBurn/page", "DjangoErrorBudgetBurn/ticket"


def test_five_percent_of_errors_page(each_promtool: Promtool):
    fire(each_promtool, requests(950, 50, 60), 60, BURN_PAGES)


def test_a_twentieth_of_a_percent_of_errors_tells_nobody(promtool: Promtool):
    fire(promtool, requests(9995, 5, ALL_DAY), ALL_DAY)


def test_a_fifth_of_a_percent_of_errors_is_a_ticket(promtool: Promtool):
    fire(promtool, requests(9980, 20, ALL_DAY), ALL_DAY, BURN_IS_A_TICKET)


def test_no_traffic_tells_nobody(promtool: Promtool):
    fire(promtool, requests(0, 0, 120), 120)


def test_a_service_that_nobody_asked_yet_tells_nobody(promtool: Promtool):
    fire(promtool, {}, 60)


def test_a_few_errors_of_a_quiet_service_tell_nobody(promtool: Promtool):
    fire(promtool, requests(0.5, 0.1, 60), 60)


def test_errors_that_are_over_do_not_page(promtool: Promtool):
    series = requests(950, 0, 60)
    failed = next(one for one in series if 'status="500"' in one)
    series[failed] = "0+50x20 1000x40"

    fire(promtool, series, 60)


@pytest.mark.parametrize(("info", "expected"), [("desk", [BURN_PAGES]), ("shop", [])])
def test_of_services_with_such_metrics_only_those_with_our_page_are_ours(
    promtool: Promtool, info: str, expected: list[str]
):
    of_another = {one.replace("shop", "desk"): values for one, values in requests(1, 1, 60).items()}
    series = {**requests(950, 0, 60), **of_another, INFO.format("b").replace("shop", info): "1x60"}

    fire(promtool, series, 60, *expected)


def test_a_restart_and_a_new_instance_are_no_errors(promtool: Promtool):
    labels = 'job="shop",instance="{}",method="GET",path="/",status="{}"'
    name = "http_requests_total"
    series = {
        f"{name}{{{labels.format('a', 200)}}}": "0+1000x60 0+1000x30 stale",
        f"{name}{{{labels.format('b', 200)}}}": "_x90 0+1000x30",
        f"{name}{{{labels.format('a', 500)}}}": "500+0.1x60 0+0.1x30 stale",
    }

    fire(promtool, series, 120)


@pytest.mark.parametrize(("slow", "expected"), [(10, ["DjangoRequestsSlow/ticket"]), (4, [])])
def test_slow_requests_are_a_ticket(promtool: Promtool, slow: float, expected: list[str]):
    name = "http_request_duration_seconds"
    series = durations(name, 'method="GET",path="/",', 100 - slow, slow, "1.0")

    fire(promtool, series, 60, *expected)


@pytest.mark.parametrize(("slow", "expected"), [(10, ["DjangoDatabaseSlow/ticket"]), (4, [])])
def test_slow_queries_are_a_ticket(promtool: Promtool, slow: float, expected: list[str]):
    name = "db_query_duration_seconds"
    series = durations(name, 'operation="select",', 100 - slow, slow, "0.5")

    fire(promtool, series, 60, *expected)


@pytest.mark.parametrize(
    ("in_flight", "seconds_per_minute", "expected"),
    [
        ("3x60 40x30", 60, ["DjangoRequestsStuck/page"]),
        ("3x60 40x30", 2400, []),
        ("3x60 9x30", 60, []),
        # Streams that are open all the time.
        ("40x90", 60, []),
    ],
)
def test_requests_that_do_not_end_page(
    promtool: Promtool, in_flight: str, seconds_per_minute: float, expected: list[str]
):
    summed = 'http_request_duration_seconds_sum{job="shop",method="GET",path="/"}'
    series = {
        'http_requests_in_flight{job="shop",instance="a"}': in_flight,
        summed: rising(seconds_per_minute, 90),
    }

    fire(promtool, series, 90, *expected)


@pytest.mark.parametrize(
    ("open_now", "expected"), [(50, ["DjangoDatabaseConnectionsHigh/ticket"]), (40, [])]
)
def test_connections_of_all_instances_are_counted(
    promtool: Promtool, open_now: int, expected: list[str]
):
    gauge = 'db_connections_current{{job="shop",instance="{}"}}'
    series = {gauge.format(instance): f"{open_now}x60" for instance in "ab"}

    fire(promtool, series, 60, *expected)


@pytest.mark.parametrize(("failed", "expected"), [(20, ["DjangoBackendErrors/ticket"]), (5, [])])
def test_a_backend_that_fails_is_a_ticket(promtool: Promtool, failed: float, expected: list[str]):
    labels = 'job="shop",backend="openai"'
    series = {
        f'backend_requests_total{{{labels},endpoint="/v1/responses"}}': rising(100, 60),
        f'backend_errors_total{{{labels},error_type="timeout"}}': rising(failed, 60),
    }

    fire(promtool, series, 60, *expected)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("error", ["DjangoExecutionsFailing/page"]), ("cancelled", [])],
)
def test_executions_that_fail_page(promtool: Promtool, status: str, expected: list[str]):
    labels = 'job="shop",backend="openai",model="m"'
    series = {
        f'executions_total{{{labels},status="success"}}': rising(80, 60),
        f'executions_total{{{labels},status="{status}"}}': rising(20, 60),
    }

    fire(promtool, series, 60, *expected)


def test_an_outage_that_is_over_pages_nobody_any_more(promtool: Promtool):
    labels = 'job="shop",backend="openai",model="m"'
    series = {
        f'executions_total{{{labels},status="success"}}': "0+100x60 6000x20 6000+100x20",
        f'executions_total{{{labels},status="error"}}': "0x60 0+100x20 2000x20",
    }

    fire(promtool, series, 75, "DjangoExecutionsFailing/page")
    fire(promtool, series, 95)


def test_executions_that_are_rare_and_fail_page(promtool: Promtool):
    labels = 'job="shop",backend="openai",model="m"'
    series = {f'executions_total{{{labels},status="error"}}': rising(0.5, 60)}

    fire(promtool, series, 60, "DjangoExecutionsFailing/page")


@pytest.mark.parametrize(
    ("taken_at", "expected"), [("0x60", ["DjangoBusinessCountsStale/ticket"]), ("0+60x60", [])]
)
def test_counts_that_nobody_refreshes_are_a_ticket(
    promtool: Promtool, taken_at: str, expected: list[str]
):
    gauge = "tachikoma_metrics_business_timestamp_seconds"
    series = {f'{gauge}{{job="shop",instance="{one}"}}': taken_at for one in "ab"}

    fire(promtool, series, 60, *expected)


def test_an_instance_that_has_not_read_the_newest_counts_yet_is_no_reason(promtool: Promtool):
    gauge = "tachikoma_metrics_business_timestamp_seconds"
    series = {
        f'{gauge}{{job="shop",instance="a"}}': "0x60",
        f'{gauge}{{job="shop",instance="b"}}': "0+60x60",
    }

    fire(promtool, series, 60)


def test_counts_that_are_not_there_are_a_ticket(promtool: Promtool):
    series = {'tachikoma_metrics_business_up{job="shop",instance="a"}': "1x60"}

    fire(promtool, series, 60, "DjangoBusinessCountsMissing/ticket")


@pytest.mark.parametrize(
    ("b_is_up", "expected"), [("0x60", ["DjangoBusinessCountsUnreadable/ticket"]), ("1x60", [])]
)
def test_counts_that_nobody_can_read_are_a_ticket(
    promtool: Promtool, b_is_up: str, expected: list[str]
):
    gauge = "tachikoma_metrics_business_up"
    series = {
        'tachikoma_metrics_business_timestamp_seconds{job="shop",instance="a"}': "0+60x60",
        f'{gauge}{{job="shop",instance="a"}}': "0x60",
        f'{gauge}{{job="shop",instance="b"}}': b_is_up,
    }

    fire(promtool, series, 60, *expected)


SIGNS_OF_TROUBLE = [
    ("tachikoma_metrics_business_refresh_errors{L}", "1x60", "DjangoBusinessCountsIncomplete"),
    ('tachikoma_metrics_errors_total{L,source="store"}', "0+1x60", "DjangoMetricsFaults"),
    ('tachikoma_metrics_overflow_total{L,family="a"}', "0+1x60", "DjangoMetricsOverflow"),
    ('tachikoma_metrics_cardinality{L,family="a"}', "2000x60", "DjangoMetricsOverflow"),
    ("tachikoma_metrics_scrape_duration_seconds{L}", "3x60", "DjangoMetricsSlow"),
    ("http_requests_lost_total{L}", "0+1x60", "DjangoRequestsLost"),
]


@pytest.mark.parametrize(("series", "values", "alert"), SIGNS_OF_TROUBLE)
def test_trouble_with_the_metrics_is_a_ticket(
    promtool: Promtool, series: str, values: str, alert: str
):
    labelled = series.replace("{L", '{job="shop",instance="a"')

    fire(promtool, {labelled: values}, 60, f"{alert}/ticket")


def test_a_fault_at_the_start_of_a_process_is_a_ticket(promtool: Promtool):
    # Its series begins with the fault: there is nothing that it rose from.
    series = 'tachikoma_metrics_errors_total{job="shop",instance="a",source="settings"}'

    fire(promtool, {series: "_x30 4x30"}, 60, "DjangoMetricsFaults/ticket")
    fire(promtool, {series: "_x30 4x90"}, 120)


@pytest.mark.parametrize(("series", "values", "alert"), SIGNS_OF_TROUBLE)
def test_without_trouble_nobody_is_told(promtool: Promtool, series: str, values: str, alert: str):
    labelled = series.replace("{L", '{job="shop",instance="a"')

    fire(promtool, {labelled: "0x60"}, 60)


@pytest.mark.parametrize(
    ("down", "expected"), [("abc", ["DjangoMetricsUnreachable/page"]), ("ab", [])]
)
def test_a_service_that_does_not_answer_pages(promtool: Promtool, down: str, expected: list[str]):
    series = {INFO.format(one): "1x10 _x60" for one in "abcd"}
    for one in "abcd":
        series[f'up{{job="shop",instance="{one}"}}'] = "1x10 0x60" if one in down else "1x70"
    # Others may be down as they like.
    series['up{job="other",instance="a"}'] = "0x70"

    fire(promtool, series, 60, *expected)


def test_new_instances_that_never_answer_page(promtool: Promtool):
    series = {INFO.format(one): "1x30 stale" for one in "ab"}
    series |= {f'up{{job="shop",instance="{one}"}}': "1x30 stale" for one in "ab"}
    series |= {f'up{{job="shop",instance="{one}"}}': "_x30 0x30" for one in "cd"}

    fire(promtool, series, 60, "DjangoMetricsUnreachable/page")


def test_the_page_that_is_sent_says_how_many_failed(each_promtool: Promtool):
    write_rules(each_promtool.folder, conf.read(USUAL))
    made, _ = monitoring.rule_file(conf.read(USUAL))
    burn = next(one for one in made["groups"][-1]["rules"] if one["alert"].endswith("Burn"))
    series = {INFO.format("a"): "1x60", **requests(950, 50, 60)}
    test = {
        "rule_files": ["rules.yml"],
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": one, "values": series[one]} for one in series],
                "alert_rule_test": [
                    {
                        "alertname": "DjangoErrorBudgetBurn",
                        "eval_time": "10m",
                        "exp_alerts": [
                            {
                                "exp_labels": {"job": "shop", "severity": "page", "window": "1h"},
                                "exp_annotations": {
                                    **burn["annotations"],
                                    "summary": "shop: 5% of the requests failed in 1h.",
                                },
                            }
                        ],
                    }
                ],
            }
        ],
    }
    (each_promtool.folder / "test.yml").write_text(json.dumps(test))

    tested = each_promtool.run("test", "rules", "test.yml")

    assert tested.returncode == 0, tested.stdout + tested.stderr


LAST_PUSH = "tachikoma_metrics_push_last_success_timestamp_seconds"


def pushes(values: str, outcomes: dict[str, str]) -> dict[str, str]:
    """Return the time of the last success, and the pushes by outcome."""
    name = "tachikoma_metrics_pushes_total"
    return {
        f'{LAST_PUSH}{{job="shop",instance="a"}}': values,
        **{
            f'{name}{{job="shop",instance="a",outcome="{outcome}"}}': counts
            for outcome, counts in outcomes.items()
        },
    }


def test_pushes_that_stop_are_a_ticket_and_those_of_a_while_ago_none(each_promtool: Promtool):
    stopped = pushes("0+60x20 _x100", {"success": "0+4x20 _x100"})

    fire(each_promtool, stopped, 20)
    fire(each_promtool, stopped, 30, "DjangoMetricsPushStopped/ticket")
    fire(each_promtool, stopped, 100)


def test_a_scraped_service_whose_pushes_stop_is_a_ticket(promtool: Promtool):
    fire(promtool, pushes("0+60x20 1200x20", {}), 40, "DjangoMetricsPushStopped/ticket")


def test_pushes_that_fail_again_and_again_are_a_ticket(promtool: Promtool):
    series = pushes(rising(60, 40), {"success": rising(3, 40), "partial": rising(1, 40)})

    fire(promtool, series, 40, "DjangoMetricsPushesFail/ticket")


def test_a_push_that_failed_twice_raises_no_alert(promtool: Promtool):
    failed = pushes(rising(60, 40), {"success": rising(4, 40), "unreachable": "0x20 2x20"})

    fire(promtool, failed, 30)
