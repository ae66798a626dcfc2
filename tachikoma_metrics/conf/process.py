"""What this process was started for: a migration, a test run, or anything else."""

from __future__ import annotations

import os
import sys

_was_test_run = False


def is_migrating() -> bool:
    """Return whether this process is ``manage.py migrate``."""
    return sys.argv[1:2] == ["migrate"]


def is_test_run() -> bool:
    """Return whether this process runs the project's tests, or has run them.

    pytest sets an environment variable, which processes that tests start inherit; those have
    not imported pytest.
    https://docs.pytest.org/en/stable/reference/reference.html#envvar-PYTEST_VERSION
    """
    global _was_test_run
    utils = sys.modules.get("django.test.utils")
    _was_test_run = (
        _was_test_run
        or sys.argv[1:2] == ["test"]
        or ("PYTEST_VERSION" in os.environ and "pytest" in sys.modules)
        or hasattr(getattr(utils, "_TestState", None), "saved_data")
    )
    return _was_test_run
