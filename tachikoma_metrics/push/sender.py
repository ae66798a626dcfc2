"""The values of all processes of a host, sent by one of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from tachikoma_metrics.catalogue.views.opentelemetry import CONVENTIONS, OPENTELEMETRY
from tachikoma_metrics.push import environment
from tachikoma_metrics.push.otlp_format import Naming, OtlpFormat
from tachikoma_metrics.push.outcomes import INCOMPLETE, SUCCESS, Outcome
from tachikoma_metrics.push.transport import Transport
from tachikoma_metrics.push.turns import shared_directory
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import Incomplete, Lease

logger = logging.getLogger("tachikoma_metrics")


class Sender:
    """Send the values of all processes, while this process holds ``lease``.

    ``names`` are the metrics that are sent under other names, and ``omitted`` those that are not.
    Failures are logged, unless ``is_logged`` is false. Raises what ``Transport`` raises.
    """

    def __init__(
        self,
        lease: Lease,
        names: Mapping[str, Naming] | None = None,
        omitted: frozenset[str] = frozenset(),
        *,
        is_logged: bool = True,
    ) -> None:
        self._names = names or {}
        self._omitted = omitted
        self._is_logged = is_logged
        self._lease = lease
        self._transport = Transport()
        self._failure = ""
        self._last = 0

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def push(self) -> Outcome:
        """Send the values of this moment once, and count what came of it."""
        try:
            outcome = self._sent()
        except Incomplete as error:
            outcome = Outcome(INCOMPLETE, str(error))
        METRICS.tachikoma_metrics_pushes_total.labels(outcome.name).inc()
        if outcome.name == SUCCESS:
            METRICS.tachikoma_metrics_push_last_success_timestamp_seconds.set(time.time())
        if self._is_logged:
            self._report(outcome)
        return outcome

    def _sent(self) -> Outcome:
        resource = environment.resource(shared_directory())
        format = OtlpFormat(resource, self._now, self._names, self._omitted)
        return self._transport.send(METRICS.expose(format))

    def _now(self) -> int:
        """Return a time that no values were sent under: neither by this process nor by others."""
        last = max(self._lease.number, self._last)
        self._last = self._lease.number = max(time.time_ns(), last + 1)
        return self._last

    def _report(self, outcome: Outcome) -> None:
        """Log a failure once, and that it is over."""
        where = environment.shown_endpoint()
        failure = "" if outcome.name == SUCCESS else outcome.name
        if failure and failure != self._failure:
            logger.warning(
                "A push to %s failed (%s): %s. Every later one sends the newest totals.",
                where,
                outcome.name,
                outcome.reason,
            )
        elif self._failure and not failure:
            logger.warning("Pushes to %s succeed again.", where)
        self._failure = failure


def opentelemetry_names() -> tuple[Mapping[str, Naming], frozenset[str]]:
    """Return the names of the stable conventions, and which of our metrics they stand for."""
    names = {
        convention: Naming(found.name, found.attributes)
        for convention, found in CONVENTIONS.items()
    }
    sources = {
        METRICS.bound(source).metric.declaration.name
        for derived in OPENTELEMETRY.metrics
        for source in derived.sources
    }
    return names, frozenset(sources)
