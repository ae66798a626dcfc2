"""The cost of tachikoma_metrics, compared with other packages.

``python -m benchmarks`` runs the benchmarks. Each variant is measured in separate processes, the
variants alternately, and the report shows ratios.
"""

from __future__ import annotations
