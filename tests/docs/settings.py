"""Settings of the project that the pages speak of: the example's, and three apps beside."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.settings import *  # noqa: F403  # What is there for all tests.
from tests.settings import INSTALLED_APPS as _APPS

# By the names that the pages give them.
sys.path.append(str(Path(__file__).resolve().parent / "apps"))

INSTALLED_APPS = [*_APPS, "desk"]
