"""System checks: invalid settings are reported at start-up, by name, with the remedy.

Errors are E001 to E019 (keys and names) and E101 to E199 (one per setting, declared with
it in ``conf``); warnings are W001 to W029, those of native histograms W150 to W159. Each check
describes its cause in its docstring, from which the reference is made. Importing this package
registers all of them.
"""

from __future__ import annotations

from tachikoma_metrics.checks import (
    access,
    aliases,
    business,
    labels,
    metric_names,
    middleware,
    settings,
    store,
    urls,
    websockets,
)

__all__ = [
    "access",
    "aliases",
    "business",
    "labels",
    "metric_names",
    "middleware",
    "settings",
    "store",
    "urls",
    "websockets",
]
