"""Real Prometheus servers, of both major versions, and how to query them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.processes import answers, eventually, free_port, get, program, running

PROMETHEUSES = ("prometheus", "prometheus3")
PROMTOOLS = ("promtool", "promtool3")
RULES = "rules.yml"
"""The file of rules beside the configuration, if there is one."""

CONFIGURATION = """
global:
  scrape_interval: 1s
rule_files:
  - rules.yml
scrape_configs:
  - job_name: tachikoma
    static_configs:
      - targets: ["127.0.0.1:{port}"]
"""


class Prometheus:
    """Ask a running Prometheus."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def answer(self, expression: str, at: float | None = None) -> dict[str, Any]:
        """Return the whole answer to an instant query, now or at a Unix time."""
        parameters = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        query = urllib.parse.urlencode(parameters)
        answered: dict[str, Any] = json.loads(get(f"{self.url}/api/v1/query?{query}")[1])
        return answered

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the result of an instant query, now or at a Unix time."""
        answered = self.answer(expression, at)
        assert answered["status"] == "success", answered
        result: list[dict[str, Any]] = answered["data"]["result"]
        return result

    def values(
        self, expression: str, *labels: str, at: float | None = None
    ) -> dict[tuple[str, ...], float]:
        """Return the values of an expression by these labels."""
        return {
            tuple(found["metric"].get(label, "") for label in labels): float(found["value"][1])
            for found in self.query(expression, at)
        }


@contextlib.contextmanager
def running_prometheus(
    name: str, configuration: str, folder: Path, *options: str
) -> Iterator[Prometheus]:
    """Run the Prometheus of this name for the time of the block, its data in ``folder``."""
    path = folder / f"{name}.yml"
    path.write_text(configuration)
    asked = Prometheus(free_port())
    command = [
        program(name),
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / name}",
        f"--web.listen-address={asked.url.removeprefix('http://')}",
        *options,
    ]
    log = folder / f"{name}.log"
    with running(command, log):
        try:
            eventually(lambda: answers(f"{asked.url}/-/ready"))
            yield asked
        except BaseException:
            print(f"--- {name}\n{log.read_text()[-20_000:]}")
            raise


@contextlib.contextmanager
def scraping(port: int, folder: Path) -> Iterator[dict[str, Prometheus]]:
    """Run every Prometheus that is installed; each scrapes a port of this machine each second."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(
                running_prometheus(name, CONFIGURATION.format(port=port), folder)
            )
            for name in PROMETHEUSES
            if shutil.which(name)
        }


@dataclass(frozen=True)
class Promtool:
    """A promtool, by the name of its program, and the directory that it reads files in."""

    name: str
    folder: Path

    def run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run it to its end, with ``given`` as its input."""
        return subprocess.run(
            [self.name, *arguments],
            cwd=self.folder,
            # Memory is no concern, and collecting it takes a fifth of the time.
            env={**os.environ, "GOGC": "400"},
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


def promtools() -> list[str]:
    """Return the promtools that are installed; where services are required, that is all."""
    found = [name for name in PROMTOOLS if shutil.which(name)]
    if os.environ.get("REQUIRE_SERVICES") == "1" or not found:
        return [program(name) for name in PROMTOOLS]
    return found
