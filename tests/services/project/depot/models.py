"""No model, but a counter: models are imported before any app is ready."""

from __future__ import annotations

from prometheus_client import Counter

visits = Counter("depot_visits", "Requests for anything that is sold.")
