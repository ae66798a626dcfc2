"""The timeouts of custom collectors: one for each, and one for all of a scrape together."""

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
"""The timeout of one collector: half of Prometheus' default ``scrape_timeout``."""

SECONDS_FOR_A_SCRAPE = 8.0
"""The timeout of all collectors of a scrape together, which is below ``scrape_timeout``, too."""

Collected = tuple[list[Metric], list[Exception]]

_WITHOUT_THREAD = ("prometheus_client.", "tachikoma_metrics.")


class CollectorTimeouts:
    """Call custom collectors in threads, and omit the metrics of those that time out.

    Later scrapes do not wait for such a collector until it has been in time once.
    """

    def __init__(self, seconds: float = SECONDS_TO_COLLECT) -> None:
        self._seconds = seconds
        self._calls = TimedCalls(seconds)
        self._scrape_ends_at = math.inf

    def begin_scrape(self) -> None:
        """Have the collectors share the time of one scrape, from now on."""
        self._scrape_ends_at = monotonic() + SECONDS_FOR_A_SCRAPE

    def forget(self) -> None:
        """Forget the threads, in a forked child: they are the parent's."""
        self._calls.forget()

    def collect(self, collector: Collector) -> Iterable[Metric]:
        """Yield what ``collector`` collects; raise what it raises, or ``TimeoutError``."""
        if type(collector).__module__.startswith(_WITHOUT_THREAD) or _is_within_a_test():
            yield from collector.collect()
            return
        name = f"collector {id(collector)}"
        call: TimedCall[Collected] = self._calls.start(
            name,
            partial(_collect_and_close, collector),
            lambda error: None,
            "",
        )
        collected = call.wait(self._scrape_ends_at - monotonic())
        if collected is None:
            raise TimeoutError(
                f"{collector!r} did not collect within {self._seconds:g} seconds; its metrics "
                "are omitted. Do slow work beforehand, not in collect()."
            )
        metrics, errors = collected
        # The call has a reference to the collector, which would outlive its registration.
        self._calls.discard(name)
        yield from metrics
        if errors:
            # Those of closing connections come after the collector's.
            raise errors[0]


def _is_within_a_test() -> bool:
    # What a test has written in its transaction, another thread cannot read.
    return conf.is_test_run() and thread_connections.is_in_transaction()


def _collect_and_close(collector: Collector) -> Collected:
    found: list[Metric] = []
    errors: list[Exception] = []
    with thread_connections.closing_connections(errors.append):
        try:
            found.extend(collector.collect())
        except Exception as error:
            errors.append(error)
    return found, errors
