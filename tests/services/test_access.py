"""nginx in front of servers: who may read the metrics through it, by a port and by a socket."""

from __future__ import annotations

import contextlib
import getpass
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.nginx import configuration
from tests.services.processes import (
    ROOT,
    eventually,
    free_port,
    free_ports,
    get,
    is_listening,
    program,
    running,
)
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
def by_socket(new_site: Callable[..., Site]) -> Iterator[Ask]:
    site = new_site(ALLOWED_NETWORKS="unix:X-Forwarded-For")
    path = site.home / "gunicorn.sock"
    command = ["gunicorn", "depot.wsgi", "--bind", f"unix:{path}", "--log-level", "warning"]
    with site.running("gunicorn", *command):
        eventually(path.exists)
        yield from nginx(site.home, f"http://unix:{path}:")


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


# --- every server behind nginx, as the guide has it -------------------------

GUIDE = (ROOT / "docs" / "guides" / "nginx.md").read_text(encoding="utf-8")
CLIENTS_BY_PROXY_PROTOCOL = """
    listen 127.0.0.1:{port} proxy_protocol;
    set_real_ip_from 127.0.0.1;
    real_ip_header proxy_protocol;
"""
"""Has nginx take the client's address from the first line, where a test can choose it."""

BESIDE_PYTHON = Path(sys.executable).parent
WSGI, ASGI = "depot.wsgi:application", "depot.asgi:application"
SERVERS = {
    "gunicorn": f"gunicorn --bind 127.0.0.1:PORT {WSGI}",
    "uvicorn": f"uvicorn --port PORT {ASGI}",
    "daphne": f"daphne --port PORT {ASGI}",
    "hypercorn": f"hypercorn --bind 127.0.0.1:PORT {ASGI}",
    "granian": f"granian --interface wsgi --port PORT {WSGI}",
    "granian, ASGI": f"granian --interface asginl --port PORT {ASGI}",
    "uWSGI": f"uwsgi --http-socket 127.0.0.1:PORT --module {WSGI} --need-app",
    "cheroot": f"cheroot --bind 127.0.0.1:PORT {WSGI}",
    "waitress": f"waitress-serve --listen 127.0.0.1:PORT {WSGI}",
}
REMOVES_WHAT_NGINX_SAYS = {"waitress"}


def guide(port: int, upstream: int) -> str:
    """Return the first configuration of the guide, between these two ports."""
    server = GUIDE.partition("```nginx\n")[2].partition("```")[0]
    listening = CLIENTS_BY_PROXY_PROTOCOL.format(port=port)
    changed = server.replace("    listen 127.0.0.1:8080;\n", listening)
    changed = changed.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
    assert changed.count(f":{port}") == changed.count(f":{upstream}") == 1
    return changed


@pytest.fixture(scope="module")
def behind_nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """Start all servers, each with an nginx before it; return the ports of these."""
    site = Site(tmp_path_factory.mktemp("servers").resolve() / "site")
    ports = free_ports(2 * len(SERVERS))
    upstreams, listening = ports[: len(SERVERS)], ports[len(SERVERS) :]
    path = site.home / "nginx.conf"
    path.write_text(configuration("".join(map(guide, listening, upstreams)), site.home))
    how = f"daemon off; user {getpass.getuser()};"
    commands = {"nginx": [program("nginx"), "-p", str(site.home), "-c", str(path), "-g", how]}
    for (name, command), port in zip(SERVERS.items(), upstreams, strict=True):
        first, *others = command.replace("PORT", str(port)).split()
        commands[name] = [str(BESIDE_PYTHON / first), *others]
    environment = {**site.environment, "PYTHONPATH": f"{site.home}:{ROOT}"}
    with contextlib.ExitStack() as stack:
        for name, words in commands.items():
            log = site.log(name)
            stack.enter_context(running(words, log, cwd=site.home, env=environment))
        # All at once: some take a second to stop.
        stack.callback(site.clear)
        eventually(lambda: all(map(is_listening, ports)), seconds=90)
        yield dict(zip(SERVERS, listening, strict=True))


def ask_as(client: str, port: int, *headers: str) -> str:
    """Return the status that a client at this address gets at ``/metrics``."""
    request = ["GET /metrics HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(f"PROXY TCP4 {client} 127.0.0.1 4711 80\r\n".encode())
        connection.sendall("\r\n".join(request).encode())
        with connection.makefile("rb") as answer:
            return answer.read().decode().split(" ")[1]


@pytest.mark.parametrize(
    "header",
    ["", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1"],
    ids=str,
)
def test_behind_no_server_a_public_client_may_read(behind_nginx: dict[str, int], header: str):
    headers = [header] if header else []
    seen = {name: ask_as(PUBLIC, port, *headers) for name, port in behind_nginx.items()}

    assert seen == dict.fromkeys(SERVERS, "403")


def test_behind_all_servers_that_know_its_address_a_private_client_may_read(
    behind_nginx: dict[str, int],
):
    seen = {name: ask_as("10.1.2.3", port) for name, port in behind_nginx.items()}

    assert {name for name, status in seen.items() if status == "403"} == REMOVES_WHAT_NGINX_SAYS
    assert {name for name, status in seen.items() if status == "200"} == (
        SERVERS.keys() - REMOVES_WHAT_NGINX_SAYS
    )


def test_at_a_socket_no_header_lets_a_client_in_unless_it_is_named(site: Site):
    path = site.home / "gunicorn.sock"
    command = ["gunicorn", "depot.wsgi", "--bind", f"unix:{path}", "--log-level", "warning"]
    with site.running("gunicorn", *command):
        eventually(path.exists)
        for ask in nginx(site.home, f"http://unix:{path}:"):
            for header in ("X-Forwarded-For", "X-Real-IP"):
                assert ask(**{header: "127.0.0.1"}) == 403
            assert ask(**{"Forwarded": "for=127.0.0.1"}) == 403
