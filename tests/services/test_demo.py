"""``make demo``, without the set-up."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.conftest import EXAMPLE
from tests.services.processes import (
    ROOT,
    answers,
    eventually,
    free_ports,
    get,
    is_listening,
    running,
)

SEEN = [
    b'path="/api/v1/missions/:id/export/",status="200"',
    b'specs_total{status="done"}',
    b'executions_total{backend="openai",model="demo-model",status="success"}',
    b'execution_tokens_total{backend="openai",model="demo-model",type="prompt"}',
    b'backend_requests_total{backend="openai",endpoint="/v1/chat/completions"}',
    b"\nws_connections_current 1.0\n",
    b'task_runs_total{outcome="success",queue="celery",task="missions.tasks.execute_spec"}',
    b'command_runs_total{command="prune_file_changes",outcome="success"}',
]


@contextlib.contextmanager
def demonstrating(
    port: int,
    folder: Path,
    stop_by: signal.Signals = signal.SIGTERM,
    **environment: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the demo; its output is in ``demo.log``."""
    variables = {
        **os.environ,
        # Celery warns if the user is root.
        "PYTHONWARNINGS": "default",
        "LLM_BASE_URL": "",
        "DATABASE_PATH": str(folder / "db.sqlite3"),
        "PORT": str(port),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        # Not that of other demos.
        "STORE_DIR": str(folder / "store"),
        **environment,
    }
    command = [sys.executable, "demo.py"]
    with running(command, folder / "demo.log", stop_by, cwd=EXAMPLE, env=variables) as demo:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/metrics"))
        yield demo


def require_all_seen(port: int) -> None:
    """Wait until the metrics page of the demo shows everything that it sends."""
    url = f"http://127.0.0.1:{port}/metrics"
    eventually(lambda: [seen for seen in SEEN if seen not in get(url)[1]] == [])


def require_clean_end(demo: subprocess.Popen[bytes], ports: range, folder: Path) -> None:
    """Require that a demo that was stopped has said what it should, and left nothing running."""
    log = (folder / "demo.log").read_text()
    address = f"http://127.0.0.1:{ports[0]}"
    assert demo.returncode == 0
    assert f"{address}/metrics" in log
    assert f"{address}/live/ (log in as demo" in log
    assert f"a fake LLM server listens on port {ports[2]}." in log
    assert "Stopped." in log
    assert "Traceback" not in log
    assert not any(map(is_listening, ports))


# The tests of the dashboards require the same of the demos that they run.
@pytest.mark.thorough
@pytest.mark.parametrize("stop_by", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_serves_sends_and_stops(tmp_path: Path, stop_by: signal.Signals):
    ports = free_ports(3)

    with demonstrating(ports[0], tmp_path, stop_by) as demo:
        require_all_seen(ports[0])

    require_clean_end(demo, ports, tmp_path)


def test_the_demo_says_that_a_port_is_taken(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "demo.py"],
            cwd=EXAMPLE,
            env={**os.environ, "PORT": port},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
