"""Which histograms are native, and what that means for queries."""

from __future__ import annotations

from collections.abc import Iterator

from tachikoma_metrics import conf
from tachikoma_metrics.doctor.findings import OK, Finding

CHECK = "native-histograms"


def of_native_histograms() -> Iterator[Finding]:
    """Yield what happens to queries of classic buckets; nothing without native histograms."""
    named = conf.config().native_histograms
    if not named:
        return
    which = "All histograms" if isinstance(named, bool) else _listed(named)
    yield Finding(
        CHECK,
        OK,
        f"{which} are native: a Prometheus that requests native histograms does not store their "
        "series `_bucket`, unless its scrape configuration has "
        "`always_scrape_classic_histograms: true`. With `--native`, `metrics_dashboard` and "
        "`metrics_rules` write queries of native histograms.",
    )


def _listed(names: tuple[str, ...]) -> str:
    return f"Of the histograms, {', '.join(names)}"
