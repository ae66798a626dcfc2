"""A client like those of OpenAI's and Anthropic's SDKs, in a module with their name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Client:
    """Send requests with an HTTP client to URLs below a base URL."""

    def __init__(self, http: Any, base_url: str) -> None:
        self._client = http
        self.base_url = base_url

    def send(self, path: str) -> None:
        """Send a request."""
        self._client.get(self.base_url + path)

    def wait(self, call: Callable[[], Any]) -> None:
        """Wait for something else."""
        call()
