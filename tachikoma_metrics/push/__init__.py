"""Values sent to where nobody scrapes: by OTLP, to a Pushgateway, or as a text file.

The processes of a host share their values, so that one of them can send the totals of all, under
one identity. Nothing here is imported before something is to be sent, apart from ``environment``
and ``background``, which need the standard library alone.
"""

from __future__ import annotations

from tachikoma_metrics.push.background import install

__all__ = ["install"]
