"""The ASGI applications of the guide, in a project whose consumers import models."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.conftest import blocks_of_files
from tests.docs.pages import ROOT
from tests.projects import Project

GUIDE = ROOT / "docs" / "guides" / "websockets.md"
BLOCKS = [block for block in blocks_of_files(GUIDE) if block.startswith("# mysite/asgi.py")]

SOCKETS = """
from django.contrib.auth.models import User
from django.urls import path

async def chat(scope, receive, send): ...

routes = [path("chat/", chat)]
"""


def test_there_are_two_applications():
    assert len(BLOCKS) == 2


@pytest.mark.parametrize("block", BLOCKS, ids=["channels", "plain"])
def test_an_application_of_the_guide_starts_as_a_server_would_start_it(block: str, tmp_path: Path):
    settings = '\nINSTALLED_APPS += ["django.contrib.sessions"]\n'
    made = Project(tmp_path / "made", settings, asgi=block)
    (made.home / "shop").mkdir()
    (made.home / "shop" / "sockets.py").write_text(SOCKETS)

    done = made.run_code("print(type(application))", "from mysite.asgi import application")
    checked = made.run("check")

    assert done.stderr == ""
    assert "WebSocketMetricsMiddleware" in done.stdout
    assert "W025" not in checked.stderr
