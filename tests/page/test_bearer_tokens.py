"""``TOKENS``."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client

from tachikoma_metrics.testing import sample_value
from tests.page.scraping import OTHER_TOKEN, TOKEN, Declare, scrape


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        TOKEN,
        "Bearer ünïcödé",
        "Bearer \udcff",
    ],
)
def test_without_a_valid_token_the_response_is_a_challenge(declare: Declare, header: str):
    declare(TOKENS=[TOKEN])
    response = Client().get("/metrics", HTTP_AUTHORIZATION=header)

    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")
    assert TOKEN.encode() not in response.content


@pytest.mark.parametrize("token", [TOKEN, OTHER_TOKEN])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_any_of_the_tokens_is_enough_from_any_address(declare: Declare, token: str, scheme: str):
    declare(TOKENS=[TOKEN, OTHER_TOKEN])
    assert scrape("203.0.113.9", authorization=f"{scheme} {token}").status_code == 200


def test_a_token_does_not_widen_allowed_networks(declare: Declare):
    declare(TOKENS=[TOKEN], ALLOWED_NETWORKS=["private"])
    assert scrape("203.0.113.9", authorization=f"Bearer {TOKEN}").status_code == 403
    assert scrape("10.0.0.1", authorization=f"Bearer {TOKEN}").status_code == 200


def test_each_line_of_a_file_is_a_token(declare: Declare, tmp_path: Path):
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n\n{OTHER_TOKEN}\n")
    declare(TOKENS=[f"file:{file}"])
    assert scrape(authorization=f"Bearer {TOKEN}").status_code == 200
    assert scrape(authorization=f"Bearer {OTHER_TOKEN}").status_code == 200
    assert scrape(authorization="Bearer ").status_code == 401
    file.write_text("a-new-token-for-the-service\n")
    assert scrape(authorization=f"Bearer {TOKEN}").status_code == 401
    assert scrape(authorization="Bearer a-new-token-for-the-service").status_code == 200


def test_with_an_unreadable_file_every_token_is_rejected(declare: Declare, tmp_path: Path):
    declare(TOKENS=[f"file:{tmp_path}/missing"])
    response = scrape(authorization=f"Bearer {TOKEN}")

    assert response.status_code == 401
    assert str(tmp_path).encode() not in response.content
    declare()
    assert sample_value("tachikoma_metrics_errors_total", source="access") == 1
