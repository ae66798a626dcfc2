"""Any metric of the endpoint, to be plotted from the time at which a viewer chooses it."""

from __future__ import annotations

import math
import re
from typing import Any

from tachikoma_metrics import exposition
from tachikoma_metrics.exposition.parse import parse_text
from tachikoma_metrics.registry import METRICS

_MOST_SERIES = 20
_TYPE = re.compile(r"^# TYPE (\S+) (\w+)$", re.MULTILINE)
_HELP = re.compile(r"^# HELP (\S+) (.*)$", re.MULTILINE)


def metrics() -> list[list[str]]:
    """Return name, type and help of each metric; raise ``Incomplete`` as a scrape does."""
    text = METRICS.expose(exposition.TEXT)
    helps = dict(_HELP.findall(text))
    return [[name, kind, helps.get(name, "")] for name, kind in _TYPE.findall(text)]


def series(name: str, kind: str) -> list[list[Any]]:
    """Return labels, value and number of the label sets of a metric of this ``kind``, its type.

    Of a histogram or summary the value is the sum, and the number that of its observations; of
    other metrics there is no number. The label sets with most come first.
    """
    is_timed = kind in ("histogram", "summary")
    value_name = f"{name}_sum" if is_timed else name
    wanted = frozenset({value_name, f"{name}_count"} if is_timed else {name})
    found: dict[str, list[Any]] = {}
    for (sample, labels), value in parse_text(METRICS.expose(exposition.TEXT, wanted)).items():
        key = ", ".join(f"{label}={text}" for label, text in sorted(labels))
        # JSON has no NaN, and no infinity.
        if sample in wanted and math.isfinite(value):
            found.setdefault(key, [key, None, None])[1 if sample == value_name else 2] = value
    ranked = sorted(found.values(), key=lambda one: -(one[1] if one[2] is None else one[2]))
    return ranked[:_MOST_SERIES]
