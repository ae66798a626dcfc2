"""What a real Prometheus knows is what really happened, whatever happens to the site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.oracle.playing import playing
from tests.oracle.scenario import Outcome
from tests.oracle.scenarios import SCENARIOS

SHORT = [scenario for scenario in SCENARIOS.values() if scenario.is_short]
NAMES = [
    pytest.param(one.name, marks=[pytest.mark.thorough] if one.is_repetition else [])
    for one in SHORT
]


@pytest.fixture(scope="module")
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Outcome]]]:
    """Play all that are asked for side by side: most of the time is waiting."""
    ids = [item.name for item in request.session.items]
    scenarios = [one for one in SHORT if any(f"[{one.name}]" in name for name in ids)]
    with playing(scenarios, tmp_path_factory.mktemp("oracle").resolve()) as futures:
        yield futures


@pytest.mark.parametrize("name", NAMES)
def test_prometheus_knows_what_happened(played: Mapping[str, Future[Outcome]], name: str):
    outcome = played[name].result()

    assert outcome.rows
    assert outcome.is_right, f"\n{outcome}"
