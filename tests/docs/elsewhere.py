"""Commands of pages that other tests run: here it is looked up that there is such a thing."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import subprocess
from pathlib import Path

from tests.docs.console_blocks import commands
from tests.docs.pages import ROOT, SERVERS
from tests.services.processes import program


def server_commands() -> list[str]:
    """Return the commands of the guide to servers that start one with several processes."""
    text = SERVERS.read_text(encoding="utf-8")
    blocks = [part.partition("```")[0] for part in text.split("```console\n")[1:]]
    found = [command.text for block in blocks for command in commands(block)]
    return [command for command in found if command.startswith(("gunicorn", "uvicorn", "uwsgi"))]


def is_run_elsewhere(command: str, page: Path | None = None) -> bool:
    """Tell whether another test runs a command of a page; fail if it could not be right.

    The tutorial's test installs packages with pip; here it suffices that this environment
    has them by these names. What make is asked for has tests or environments of its own. The
    servers of the guide to them are started by ``test_servers``.
    """
    if page == SERVERS and command in server_commands():
        return True
    words = shlex.split(command, comments=True)
    if words[:2] == ["pip", "install"]:
        for requirement in words[2:]:
            if not requirement.startswith("-"):
                importlib.metadata.version(re.split(r"[\[<>=~]", requirement)[0])
        return True
    if words[0] == "make":
        dry = [program("make"), "--dry-run", "--directory", str(ROOT), *words[1:]]
        subprocess.run(dry, check=True, capture_output=True, timeout=30)
        return True
    return False
