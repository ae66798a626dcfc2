"""Conditions that several alerts share, in PromQL."""

from __future__ import annotations

from collections.abc import Collection

from tachikoma_metrics.catalogue.definitions import Histogram
from tachikoma_metrics.conf import Config
from tachikoma_metrics.registry.shapes import shape_of

MIN_EVENTS = 10
"""More events than this have to fail, so that a service with little traffic raises no alert."""


def slow_share(histogram: str, bound: float, by: str = "") -> str:
    """Return the share of observations above the bound of a bucket, if it is more than 5 %."""
    labels = f"<service>, {by}" if by else "<service>"
    below = f'sum by ({labels}) (increase({histogram}_bucket{{le="{bound!r}"}}[10m]))'
    total = f"sum by ({labels}) (increase({histogram}_count[10m]))"
    return f"1 - {below}\n  / {total}\n> 0.05\nand {total}\n  - {below}\n> {MIN_EVENTS}"


def bucket_bound(
    histogram: Histogram, wanted: float, config: Config, native: Collection[str] = ()
) -> float:
    """Return the lowest bound of a bucket that is at least ``wanted``, else the highest.

    One of the ``native`` histograms has so many that it is ``wanted`` itself, unless Prometheus
    makes it of a classic one.
    """
    if histogram.name in native and config.is_native(histogram.name):
        return wanted
    bounds = [float(bound) for bound in shape_of(histogram, config).buckets]
    return next((bound for bound in bounds if bound >= wanted), bounds[-1])


def increased(counter: str, label: str = "") -> str:
    """Return that a counter increased within an hour, or is new.

    A new series has no increase: Prometheus has no sample of zero before its first value.
    """
    by = f"sum by (<service>, {label})" if label else "sum by (<service>)"
    now, before = f"{by} ({counter})", f"{by} ({counter} offset 1h)"
    return f"{by} (increase({counter}[1h])) > 0\nor ({now} unless {before}) > 0"


def failing_share(failed: str, total: str, by: str = "backend") -> str:
    """Return the share of failures by a label, if above 10 % in an hour and now."""

    def share(window: str) -> str:
        return (
            f"sum by (<service>, {by}) (increase({failed}[{window}]))\n"
            f"  / sum by (<service>, {by}) (increase({total}[{window}]))\n> 0.1"
        )

    enough = f"sum by (<service>, {by}) (increase({failed}[1h])) > {MIN_EVENTS}"
    return f"{share('1h')}\nand {share('5m')}\nand {enough}"
