"""All scenarios, by what happens to the site meanwhile."""

from __future__ import annotations

from tests.oracle.scenario import SCENARIOS
from tests.oracle.scenarios import (
    deaths,
    deployments,
    neighbours,
    releases,
    restarts,
    serving,
    shortages,
)

__all__ = [
    "SCENARIOS",
    "deaths",
    "deployments",
    "neighbours",
    "releases",
    "restarts",
    "serving",
    "shortages",
]
