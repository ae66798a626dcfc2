from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from django.core.management import call_command

from tests.doctor.endpoint import Doctor, Endpoint, Serve, over


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Return what runs the command, and returns the exit status and the findings by check."""

    def ask(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
        code = 0
        try:
            call_command("metrics_doctor", "--json", *arguments)
        except SystemExit as error:
            code = int(error.code or 0)
        findings = json.loads(capsys.readouterr().out)
        return code, {finding["check"]: finding for finding in findings}

    return ask


@pytest.fixture
def served() -> Iterator[Serve]:
    """Serve what a test wants, on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    over.clear()
    Endpoint.tokens, Endpoint.when_asked = [], staticmethod(lambda: None)

    def serve(body: str, status: int = 200, location: str = "", ends: bool = True) -> str:
        Endpoint.body, Endpoint.status, Endpoint.location, Endpoint.ends = (
            body,
            status,
            location,
            ends,
        )
        return f"http://127.0.0.1:{server.server_address[1]}/metrics"

    yield serve
    over.set()
    server.shutdown()
    thread.join()
    server.server_close()
