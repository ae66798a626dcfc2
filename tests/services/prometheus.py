"""A real Prometheus, and what one asks it."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.services.processes import answers, eventually, free_port, get, program, running

CONFIGURATION = """
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: tachikoma
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


class Prometheus:
    """Ask a running Prometheus."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def answer(self, expression: str) -> dict[str, Any]:
        """Return the whole answer to an instant query."""
        query = urllib.parse.urlencode({"query": expression})
        answered: dict[str, Any] = json.loads(get(f"{self.url}/api/v1/query?{query}")[1])
        return answered

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        answered = self.answer(expression)
        assert answered["status"] == "success", answered
        result: list[dict[str, Any]] = answered["data"]["result"]
        return result

    def values(self, expression: str, *labels: str) -> dict[tuple[str, ...], float]:
        """Return the values of an expression by these labels."""
        return {
            tuple(found["metric"].get(label, "") for label in labels): float(found["value"][1])
            for found in self.query(expression)
        }


@contextlib.contextmanager
def scraping(port: int, folder: Path) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes a port of this machine each second."""
    configuration = folder / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(port=port))
    asked = Prometheus(free_port())
    command = [
        program("prometheus"),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={asked.url.removeprefix('http://')}",
    ]
    with running(command, folder / "prometheus.log"):
        eventually(lambda: answers(f"{asked.url}/-/ready"))
        yield asked
