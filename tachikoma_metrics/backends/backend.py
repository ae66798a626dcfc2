"""An upstream API, called ``backend`` in labels: how its requests are named."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tachikoma_metrics.backends.attempts import Attempt
from tachikoma_metrics.backends.base_paths import current_base_path
from tachikoma_metrics.backends.endpoints import Endpoints
from tachikoma_metrics.catalogue.labels import OTHER
from tachikoma_metrics.registry import METRICS


class Backend:
    """The label value of an upstream API, and its endpoints."""

    def __init__(self, name: str, endpoints: Endpoints) -> None:
        self.name = name
        self.endpoints = endpoints

    def attempt(self, request: Any) -> Attempt:
        """Return the attempt for a request of httpx, httpx2 or requests; never raises."""
        try:
            endpoint = self.endpoints.name(_path(request), current_base_path())
        except Exception as error:
            METRICS.count_error("backend", error)
            endpoint = OTHER
        return Attempt(self.name, endpoint)


def _path(request: Any) -> str:
    url: Any = request.url
    # httpx decodes url.path, and an escaped slash in an id must not separate parts.
    path = url.raw_path.decode("ascii") if hasattr(url, "raw_path") else urlsplit(url).path
    return str(path)
