"""Commands of pages that other tests run: here it is looked up that there is such a thing."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import subprocess

from tests.docs.pages import ROOT
from tests.services.processes import program


def is_run_elsewhere(command: str) -> bool:
    """Tell whether another test runs a command; fail if it could not be right.

    The tutorial's test installs packages with pip; here it suffices that this environment
    has them by these names. What make is asked for has tests or environments of its own.
    """
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
