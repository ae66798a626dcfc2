"""nginx as the guide has it, in front of gunicorn: who sees the page through it."""

from __future__ import annotations

import getpass
import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.nginx_blocks import around
from tests.docs.pages import ROOT
from tests.docs.terminals import Desk
from tests.services.processes import eventually, free_port, is_listening, program, running

GUIDE = ROOT / "docs" / "guides" / "nginx.md"
REQUESTS = "curl --silent http://127.0.0.1:8000/metrics | grep ^http_requests_total"
PUBLIC = "203.0.113.9"
"""Of RFC 5737: nobody's."""

Ask = Callable[..., int]


def blocks(language: str) -> list[str]:
    parts = GUIDE.read_text(encoding="utf-8").split(f"```{language}\n")[1:]
    return [part.partition("```")[0] for part in parts]


FORWARDED, REFUSED, ALLOWED, BY_SOCKET = blocks("nginx")
_, SETTING_FOR_A_SOCKET = blocks("python")


@contextmanager
def nginx(somebody: Desk, configuration: str) -> Iterator[Ask]:
    """Run nginx by a block of the guide, and lend what asks it for a path."""
    port = free_port()
    home = somebody.home
    text = somebody.with_ports(configuration).replace(":8080", f":{port}")
    text = text.replace("/run/mysite", str(home))
    path = home / "nginx.conf"
    # By default another user's, who could not reach the socket.
    path.write_text(f"daemon off;\nuser {getpass.getuser()};\n{around(text, str(home))}")
    with running([program("nginx"), "-p", str(home), "-c", str(path)], home / "nginx.log"):
        eventually(lambda: is_listening(port))

        def ask(path: str = "/metrics", **headers: str) -> int:
            # As it is: urllib would tidy the path up.
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                connection.request("GET", path, headers=headers)
                return connection.getresponse().status
            finally:
                connection.close()

        yield ask


@pytest.fixture
def somebody(sit_down: Callable[[], Desk]) -> Desk:
    """Return somebody whose project is served by a port and by a socket, as the guide says."""
    somebody = sit_down()
    settings = somebody.home / "mysite" / "settings.py"
    settings.write_text(f"{settings.read_text()}\n{SETTING_FOR_A_SOCKET}")
    socket = somebody.home / "gunicorn.sock"
    somebody.run(f"gunicorn mysite.wsgi --bind unix:{socket} --bind 127.0.0.1:8000")
    return somebody


def test_the_project_tells_public_visitors_from_private_ones(somebody: Desk):
    with nginx(somebody, FORWARDED) as ask:
        assert ask() == 200
        assert ask(**{"X-Forwarded-For": PUBLIC}) == 403
        assert ask("/hello/boma/", **{"X-Forwarded-For": PUBLIC}) == 200


def test_nobody_sees_the_page_through_nginx(somebody: Desk):
    with nginx(somebody, REFUSED) as ask:
        paths = ["/metrics", "//metrics", "/%6Detrics", "/x/../metrics", "/metrics?name[]=up"]
        assert {path: ask(path) for path in paths} == dict.fromkeys(paths, 404)
        assert ask("/hello/boma/") == 200

    # All but one were nginx's answers: the project was not asked.
    assert somebody.run(REQUESTS).endswith('path="/hello/:name/",status="200"} 1.0\n')
    assert "<unmatched>" not in somebody.run(REQUESTS)


def test_a_network_is_let_in_and_the_project_still_asks(somebody: Desk):
    with nginx(somebody, ALLOWED) as ask:
        assert ask() == 200
        assert ask(**{"X-Forwarded-For": PUBLIC}) == 403

    narrowed = ALLOWED.replace("        allow 127.0.0.0/8;\n", "")
    assert narrowed != ALLOWED
    with nginx(somebody, narrowed) as ask:
        assert ask() == 403
        assert ask("/hello/boma/") == 200


def test_a_socket_needs_the_header(somebody: Desk):
    with nginx(somebody, BY_SOCKET) as ask:
        assert ask() == 200
        # What a client says of itself is replaced.
        assert ask(**{"X-Forwarded-For": PUBLIC}) == 200

    without = "".join(line for line in BY_SOCKET.splitlines(True) if "X-Forwarded-For" not in line)
    with nginx(somebody, without) as ask:
        assert ask() == 403


def test_both_ways_lead_to_one_page(somebody: Desk, tmp_path: Path):
    for configuration in (FORWARDED, BY_SOCKET):
        with nginx(somebody, configuration) as ask:
            assert ask("/hello/boma/") == 200

    assert somebody.run(REQUESTS).endswith('path="/hello/:name/",status="200"} 2.0\n')
