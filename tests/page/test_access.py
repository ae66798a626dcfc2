"""``PERMISSION``, invalid access settings, and the checks of access."""

from __future__ import annotations

import gc

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from tests.conftest import found
from tests.page.scraping import TOKEN, Declare, scrape


def test_a_permission_is_evaluated_last(declare: Declare):
    declare(PERMISSION="tests.page.permissions.permits")
    assert scrape(**{"x-who": "the major"}).status_code == 200
    assert scrape(**{"x-who": "a private"}).status_code == 403
    assert scrape("203.0.113.9", **{"x-who": "the major"}).status_code == 403


@pytest.mark.parametrize("name", ["raises", "returns_yes", "nothing", "permits_later"])
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_a_permission_that_does_not_return_true_rejects(declare: Declare, name: str):
    declare(PERMISSION=f"tests.page.permissions.{name}")
    assert scrape().status_code == 403
    gc.collect()


@pytest.mark.parametrize(
    "declared",
    [
        {"ALLOWED_NETWORKS": ["10.0.0.1/8"]},
        {"ALLOWED_NETWORKS": "10.0.0.0/8"},
        {"ALLOWED_NETWORKS": ["*"], "TOKENS": "a string"},
        {"ALLOWED_NETWORKS": ["*"], "PERMISSION": 5},
    ],
)
def test_every_scrape_is_rejected_if_an_access_setting_is_invalid(
    declare: Declare, declared: dict[str, object]
):
    declare(**declared)
    response = scrape()

    assert response.status_code == 403
    body = b"Access denied: an access setting is invalid. Run manage.py check.\n"
    assert response.content == body


def deployment_warnings() -> set[str]:
    messages = run_checks(include_deployment_checks=True)
    return {str(one.id).removeprefix("tachikoma_metrics.") for one in messages}


def test_the_deployment_check_warns_of_an_endpoint_without_access_control(declare: Declare):
    declare(ALLOWED_NETWORKS=["*"])
    assert "W012" in deployment_warnings()
    declare(ALLOWED_NETWORKS=["*"], TOKENS=[TOKEN])
    assert "W012" not in deployment_warnings()
    declare()
    assert "W012" not in deployment_warnings()


def test_the_deployment_check_warns_of_a_short_token(declare: Declare):
    declare(TOKENS=["secret", TOKEN, "file:/x"])
    assert "W013" in deployment_warnings()
    declare(TOKENS=[TOKEN])
    assert "W013" not in deployment_warnings()


@pytest.mark.parametrize("name", ["nothing", "not_callable", "permits_later"])
def test_a_permission_that_cannot_be_called_is_an_error(name: str):
    with override_settings(TACHIKOMA_METRICS={"PERMISSION": f"tests.page.permissions.{name}"}):
        assert name in found()["E013"].msg
