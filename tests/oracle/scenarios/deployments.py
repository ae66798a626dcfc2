"""One deployment after the other, each with a route that no other has: what stays is bounded.

Each is scraped before the next: what a release counts may go with its routes, once it is known.
"""

from __future__ import annotations

import json

from tests.oracle.kiosks import Kiosk
from tests.oracle.scenario import Stage, scenario
from tests.services.pages import Page

LABEL_SETS = 12
REQUESTS = 6
BYTES = 2 * 256 * 1024
"""As much as two slots that have grown twice, whatever the number of deployments."""


@scenario(is_short=True)
def six_deployments(stage: Stage) -> None:
    """As many as it takes to pass a low limit of label sets."""
    _deploy(stage, 6, limit=4)


@scenario()
def thirty_deployments(stage: Stage) -> None:
    """The same for longer."""
    _deploy(stage, 30, limit=LABEL_SETS)


@scenario()
def five_hundred_deployments(stage: Stage) -> None:
    """A year and a half of daily deployments."""
    _deploy(stage, 500, limit=LABEL_SETS)


def _deploy(stage: Stage, times: int, limit: int) -> None:
    site = stage.scene.site
    site.environment["SETTINGS"] = json.dumps({"CARDINALITY_LIMIT": limit})
    for number in range(1, times + 1):
        site.environment["RELEASE"] = str(number)
        with site.gunicorn("--workers", "1"):
            with stage.scene.load(REQUESTS, ["/", f"/issue-{number}/"]):
                pass
            stage.scene.finish_dropped()
            if number == times:
                _expect_bounds(stage, site, limit)


def _expect_bounds(stage: Stage, site: Kiosk, limit: int) -> None:
    directories = site.store_dirs()
    stage.expect(len(directories) == 1, f"{len(directories)} directories were used")
    size = sum(
        path.stat().st_size for one in directories for path in one.rglob("*") if path.is_file()
    )
    stage.expect(size <= BYTES, f"{size} bytes are in the directory")
    found = _label_sets(site.page())
    stage.expect(found <= limit + 1, f"http_requests_total has {found} label sets on the page")


def _label_sets(page: Page) -> int:
    return sum(name == "http_requests_total" for name, _ in page)
