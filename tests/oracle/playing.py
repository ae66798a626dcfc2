"""Play scenarios side by side, before the same Prometheuses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.oracle.scenario import Outcome, Scenario
from tests.oracle.scraping import Target, scraping
from tests.services.processes import free_ports

AT_A_TIME = 4


@contextlib.contextmanager
def playing(
    scenarios: Sequence[Scenario], folder: Path, at_a_time: int = AT_A_TIME
) -> Iterator[Mapping[str, Future[Outcome]]]:
    """Play the scenarios for the time of the block; lend what becomes of each, by its name."""
    jobs = [job for scenario in scenarios for job in scenario.jobs]
    ports = dict(zip(jobs, free_ports(len(jobs)), strict=True))
    with (
        scraping(ports, folder) as prometheuses,
        ThreadPoolExecutor(at_a_time) as threads,
    ):
        targets = {job: Target(job, prometheuses) for job in jobs}
        played = {
            scenario.name: threads.submit(
                scenario.run,
                folder,
                [targets[job] for job in scenario.jobs],
                [ports[job] for job in scenario.jobs],
            )
            for scenario in scenarios
        }
        try:
            yield played
        finally:
            threads.shutdown(cancel_futures=True)
