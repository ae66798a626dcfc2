"""Queries of native histograms, made of those of classic ones.

Panels and rules are written for classic histograms. A native histogram is a single series for
each label set: without ``le``, and without the suffixes ``_bucket``, ``_sum`` and ``_count``.

https://prometheus.io/docs/specs/native_histograms/#querying
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Histogram
from tachikoma_metrics.conf import Config

_WINDOW = r"(?P<window>\[[^\]]*\])"


def queried_natively(config: Config) -> frozenset[str]:
    """Return the histograms whose series are native: those of ``NATIVE_HISTOGRAMS``.

    If the setting names none, they are all: Prometheus then makes native ones of classic ones, by
    ``convert_classic_histograms_to_nhcb``.
    """
    names = [one.name for one in catalogue.FAMILIES.values() if isinstance(one, Histogram)]
    return frozenset(
        name for name in names if not config.native_histograms or config.is_native(name)
    )


class NativeQueries:
    """Rewrite expressions about the histograms of these ``names``, those of the catalogue."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(names)

    def applies_to(self, expression: str) -> bool:
        """Return whether an expression reads one of the histograms."""
        return self.rewritten(expression) != expression

    def rewritten(self, expression: str) -> str:
        """Return an expression, or the name of a recording rule, for native histograms."""
        if self._names:
            for pattern, replacement in self._steps:
                expression = pattern.sub(replacement, expression)
        return expression

    @cached_property
    def _steps(self) -> list[tuple[re.Pattern[str], str]]:
        name = rf"(?P<name>{'|'.join(map(re.escape, self._names))})"
        return [
            (re.compile(pattern.replace("NAME", name)), replacement)
            for pattern, replacement in _steps()
        ]


def _steps() -> Iterator[tuple[str, str]]:
    """Yield patterns and their replacements, in their order; ``NAME`` is that of a histogram."""
    yield r"\b(?P<level>job\w*?)_le:NAME_bucket:", r"\g<level>:\g<name>:"
    summed = r"(?P<sum>sum by \([^)]*\) \((?P<change>rate|increase)\()"
    below = rf'{summed}NAME_bucket\{{le="(?P<bound>[^"]+)"\}}{_WINDOW}\)\)'
    whole = r"\g<sum>\g<name>\g<window>))"
    fraction = rf"histogram_fraction(0, \g<bound>, {whole})"
    # A number below a bound, divided by that of all, or alone.
    yield rf"{below}\s+/ (?P=sum)(?P=name)_count(?P=window)\)\)", fraction
    yield below, rf"{fraction}\n  * \g<sum>\g<name>_count\g<window>))"
    end = r"NAME_(?P<end>sum|count)(?P<matchers>\{[^}]*\})?"
    yield (
        rf"\b(?P<change>rate|increase)\({end}{_WINDOW}\)",
        r"histogram_\g<end>(\g<change>(\g<name>\g<matchers>\g<window>))",
    )
    inner = rf"\((?P<change>rate|increase)\(NAME_bucket{_WINDOW}\)\)"
    yield rf"\bsum by \(le\) {inner}", r"sum(\g<change>(\g<name>\g<window>))"
    yield (
        rf"\bsum by \((?P<first>le, )?(?P<labels>[^)]*?)(?P<last>, le)?\) {inner}",
        r"sum by (\g<labels>) (\g<change>(\g<name>\g<window>))",
    )
