"""Real Prometheuses that scrape every site of a run, and what they know of one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.oracle.samples import Series, read
from tests.services.processes import eventually, program
from tests.services.prometheus import PROMETHEUSES, Prometheus, running_prometheus

INTERVAL = "1s"
"""As long as a scrape may take, too: on a busy machine, less would leave gaps."""
SECONDS = 120
"""How long it may take until a site is scraped, whatever else the machine does."""
WINDOW = "1h"
"""Further back than any run takes: all samples are in it."""
COUNTERS = ".+_(total|count|sum|bucket)"
GAUGES = "(missions|specs)_total"
"""Whose names say that they are counters, as the specification wants."""


class Target:
    """A site as the Prometheuses know it."""

    def __init__(self, job: str, prometheuses: Mapping[str, Prometheus]) -> None:
        self.job = job
        self.prometheuses = prometheuses

    def await_scrapes(self, count: int = 2) -> None:
        """Wait until each Prometheus has scraped the site so often from now on."""
        since = time.time()
        for prometheus in self.prometheuses.values():
            has_scraped = partial(self._has_scraped, prometheus, since, count)
            eventually(has_scraped, SECONDS)

    def _has_scraped(self, prometheus: Prometheus, since: float, count: int) -> bool:
        return self._scrapes(prometheus, since) >= count

    def _scrapes(self, prometheus: Prometheus, since: float) -> float:
        found = read(prometheus.query(f'up{{job="{self.job}"}}[{WINDOW}]'))
        return sum(value for up in found for at, value in up.samples if at > since)

    def series(self) -> dict[str, list[Series]]:
        """Return the raw samples of all counters of the site, by Prometheus."""
        selector = f'job="{self.job}",__name__=~"{COUNTERS}",__name__!~"{GAUGES}"'
        return {
            name: list(read(prometheus.query(f"{{{selector}}}[{WINDOW}]")))
            for name, prometheus in self.prometheuses.items()
        }


def configuration(ports: Mapping[str, int]) -> str:
    """Return the configuration of a Prometheus, by job and port."""
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        for job, port in ports.items()
    ]
    # JSON is YAML.
    return json.dumps({"global": {"scrape_interval": INTERVAL}, "scrape_configs": jobs})


@contextlib.contextmanager
def scraping(ports: Mapping[str, int], folder: Path) -> Iterator[dict[str, Prometheus]]:
    """Run every Prometheus that is installed for the time of the block."""
    found = [name for name in PROMETHEUSES if shutil.which(name)]
    names = PROMETHEUSES if os.environ.get("REQUIRE_SERVICES") == "1" else found
    for name in names or PROMETHEUSES:
        program(name)
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(running_prometheus(name, configuration(ports), folder))
            for name in names
        }
