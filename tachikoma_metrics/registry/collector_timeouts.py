"""Collectors of the project's own, which may take their time: for so long, and no longer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from time import monotonic

from prometheus_client import Metric
from prometheus_client.registry import Collector

from tachikoma_metrics import conf
from tachikoma_metrics.registry import thread_connections
from tachikoma_metrics.registry.deadlines import TimedCall, TimedCalls

SECONDS_TO_COLLECT = 5.0
"""Half of what Prometheus waits for a whole page, unless told otherwise."""

SECONDS_FOR_A_PAGE = 8.0
"""What all of them have together: a page that is late is no page to Prometheus."""

Collected = tuple[list[Metric], list[Exception]]

_AT_ONCE = ("prometheus_client.", "tachikoma_metrics.")


class CollectorTimeouts:
    """Have collectors asked in threads, and wait for each as long as that is sensible.

    One that is slow costs what it collects. Later pages do not wait for it until it has been
    in time once.
    """

    def __init__(self, seconds: float = SECONDS_TO_COLLECT) -> None:
        self._seconds = seconds
        self._questions = TimedCalls(seconds)
        self._page_ends_at = math.inf

    def begin_scrape(self) -> None:
        """Have the collectors share the time of one page, from now on."""
        self._page_ends_at = monotonic() + SECONDS_FOR_A_PAGE

    def forget(self) -> None:
        """Forget the threads, in a forked child: they are the parent's."""
        self._questions.forget()

    def collect(self, collector: Collector) -> Iterable[Metric]:
        """Yield what ``collector`` collects; raise what it raises, or ``TimeoutError``."""
        if type(collector).__module__.startswith(_AT_ONCE) or _is_within_a_test():
            yield from collector.collect()
            return
        name = f"collector {id(collector)}"
        question: TimedCall[Collected] = self._questions.put(
            name,
            partial(_collect_and_close, collector),
            lambda error: None,
            "",
        )
        collected = question.wait(self._page_ends_at - monotonic())
        if collected is None:
            raise TimeoutError(
                f"{collector!r} should collect within {self._seconds:g} seconds; the page is "
                "without it. Have it collect beforehand what takes long."
            )
        families, errors = collected
        # Whoever is unregistered is not to be kept alive by what he was asked.
        self._questions.drop(name)
        yield from families
        if errors:
            # Those that closing met come after the collector's.
            raise errors[0]


def _is_within_a_test() -> bool:
    # What a test has written in its transaction, another thread does not see.
    return conf.is_test_run() and thread_connections.is_under_way()


def _collect_and_close(collector: Collector) -> Collected:
    found: list[Metric] = []
    errors: list[Exception] = []
    with thread_connections.connections_of_its_own(errors.append):
        try:
            found.extend(collector.collect())
        except Exception as error:
            errors.append(error)
    return found, errors
