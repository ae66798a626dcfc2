"""What can be found out without a server: settings, the store, and a scrape of this process."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from tachikoma_metrics import conf
from tachikoma_metrics.doctor import (
    access,
    business,
    exposition,
    native_histograms,
    push,
    settings,
    store,
)
from tachikoma_metrics.doctor.findings import ERROR, Finding
from tachikoma_metrics.doctor.refusals import ENDPOINT, HINTS_BY_REASON
from tachikoma_metrics.exposition.parse import parse_text
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE, Incomplete


def of_this_service(*, ends_afterwards: bool = False, is_command: bool = True) -> Iterator[Finding]:
    """Yield what can be found out from within: settings, the store, and a scrape made here.

    A process that ``ends_afterwards`` leaves no directory where the service has none; one that
    ``is_command`` is not counted among the processes of the service.
    """
    if not conf.config().enabled:
        yield Finding(
            settings.CHECK,
            ERROR,
            "Nothing is measured: ENABLED is False.",
            'Remove the setting. Example: "ENABLED": True',
        )
        return
    yield from settings.of_checks()
    METRICS.settings_were_reported()
    yield store.of_store()
    yield from store.of_other_versions()
    yield access.of_access()
    yield from native_histograms.of_native_histograms()
    yield from push.of_setting()
    if ends_afterwards and not any(map(os.path.isdir, STORE.where())):
        STORE.leave()
    yield from _of_scrape(others=-1 if is_command else 0)


def _of_scrape(others: int) -> Iterator[Finding]:
    began_at = time.perf_counter()
    try:
        text = METRICS.encode()
    except Incomplete as error:
        yield Finding(ENDPOINT, ERROR, str(error), HINTS_BY_REASON["cannot be read"])
        return
    yield exposition.of_cost(time.perf_counter() - began_at, len(text))
    yield from of_samples(parse_text(text), others)


def of_samples(samples: exposition.Samples, others: int = 0) -> Iterator[Finding]:
    """Yield what samples say; ``others`` is added to the number of processes."""
    number = exposition.total(samples, "tachikoma_metrics_processes") + others
    yield exposition.of_processes(number)
    yield exposition.of_errors(samples)
    yield from exposition.of_cardinality(samples)
    yield from push.of_samples(samples)
    yield from business.of_business_metrics(samples)
