from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _forks() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("needs fork()")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"
