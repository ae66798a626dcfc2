"""Where the directory of a service may be."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

from tachikoma_metrics.store import bases


def test_without_a_writable_temporary_directory_the_other_places_remain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def nowhere() -> NoReturn:
        # As in a container whose file system is read-only.
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    assert bases()[-1] == str(tmp_path)
