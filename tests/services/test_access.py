"""nginx in front of gunicorn: who may read the page through it, by a port and by a socket."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.nginx import configuration
from tests.services.processes import eventually, free_port, get, is_listening, program, running
from tests.services.sites import Site

PUBLIC = "203.0.113.9"
"""Of RFC 5737: nobody's."""

_SERVER = """
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass {upstream};
        proxy_set_header Host $host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
}}
"""

Ask = Callable[..., int]


def nginx(home: Path, upstream: str) -> Iterator[Ask]:
    port = free_port()
    path = home / "nginx.conf"
    path.write_text(configuration(_SERVER.format(port=port, upstream=upstream), home))
    # By default another user's, who could not reach the socket.
    how = f"daemon off; user {getpass.getuser()};"
    command = [program("nginx"), "-p", str(home), "-c", str(path), "-g", how]
    with running(command, home / "nginx.log"):
        eventually(lambda: is_listening(port))
        yield lambda path="/metrics", **headers: get(f"http://127.0.0.1:{port}{path}", **headers)[0]


@pytest.fixture
def by_port(site: Site) -> Iterator[Ask]:
    with site.gunicorn("-w", "2"):
        yield from nginx(site.home, site.url)


@pytest.fixture
def by_socket(site: Site) -> Iterator[Ask]:
    socket = site.home / "gunicorn.sock"
    command = ["gunicorn", "depot.wsgi", "--bind", f"unix:{socket}", "--log-level", "warning"]
    with site.running("gunicorn", *command):
        eventually(socket.exists)
        yield from nginx(site.home, f"http://unix:{socket}:")


@pytest.fixture(params=["by_port", "by_socket"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Return what asks nginx for a path, and returns the status."""
    ask: Ask = request.getfixturevalue(request.param)
    return ask


def test_a_private_client_may_and_a_public_one_may_not(ask: Ask):
    assert ask() == 200
    assert ask(**{"X-Forwarded-For": "10.1.2.3"}) == 200
    # As an outer proxy tells nginx.
    assert ask(**{"X-Forwarded-For": PUBLIC}) == 403
    assert ask(**{"X-Forwarded-For": f"{PUBLIC}, 10.1.2.3"}) == 403
    assert ask(**{"Forwarded": f"for={PUBLIC}"}) == 403
    assert ask("/", **{"X-Forwarded-For": PUBLIC}) == 200
