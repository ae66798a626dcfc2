"""A client as OpenAI's and Anthropic's SDKs have them, in a module of that name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Client:
    """Send by an HTTP client, below a base URL."""

    def __init__(self, http: Any, base_url: str) -> None:
        self._client = http
        self.base_url = base_url

    def send(self, path: str) -> None:
        """Send a request."""
        self._client.get(self.base_url + path)

    def wait(self, call: Callable[[], Any]) -> None:
        """Wait for something else."""
        call()
