"""What tachikoma_metrics costs, beside what others cost.

``python -m benchmarks`` runs it. Each variant is measured in processes of its own,
the variants by turns, and what is reported are ratios.
"""

from __future__ import annotations
