"""Every server of the guide, started as the guide says: totals are exact, also after a kill."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tachikoma_metrics.exposition.parse import parse_text
from tests.docs.elsewhere import server_commands
from tests.docs.terminals import Desk
from tests.services.pages import Page
from tests.services.processes import answers, eventually, get
from tests.services.sites import requests, total


def page(somebody: Desk) -> Page:
    return parse_text(get(f"http://127.0.0.1:{somebody.port('8000')}/metrics")[1].decode())


def greet(somebody: Desk, times: int) -> None:
    for _ in range(times):
        url = f"http://127.0.0.1:{somebody.port('8000')}/hello/togusa/"
        assert get(url) == (200, b"Hello, togusa.\n")


def test_the_guide_has_every_server():
    programs = {text.split()[0] for text in server_commands()}

    assert programs == {"gunicorn", "uvicorn", "uwsgi"}
    assert len(server_commands()) == 7


@pytest.mark.parametrize("command", server_commands())
def test_totals_are_exact_also_after_a_kill(command: str, sit_down: Callable[[], Desk]):
    somebody = sit_down()
    somebody.run(command)
    greet(somebody, 20)
    before = page(somebody)

    os.kill(min(somebody.holders()), signal.SIGKILL)
    greet(somebody, 20)
    after = page(somebody)

    assert requests(before) == 20
    assert requests(after) == 40
    assert total(after, "http_requests_in_flight") == 0
    assert total(after, "tachikoma_metrics_errors_total") == 0


def test_totals_go_on_when_runserver_reloads(sit_down: Callable[[], Desk]):
    somebody = sit_down()
    somebody.run("python manage.py runserver 8000")
    greet(somebody, 3)
    before = somebody.holders()

    def is_reloading() -> bool:
        # Again, until the reloader has begun to look.
        (somebody.home / "mysite" / "urls.py").touch()
        return somebody.holders() != before

    eventually(is_reloading)
    eventually(lambda: answers(f"http://127.0.0.1:{somebody.port('8000')}/metrics"))
    greet(somebody, 1)

    assert requests(page(somebody)) == 4
