"""The values of all processes merged, metric by metric.

Which record of which file belongs to which label set stays the same from one scrape to the next,
so it is worked out once. A scrape then only picks the doubles out of each file and adds them up,
without running Python code for each value.
"""

from __future__ import annotations

from tachikoma_metrics.store.merge.merger import Merger

__all__ = ["Merger"]
