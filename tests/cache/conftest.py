from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.test import override_settings

from tests.cache.lookups import VALUES
from tests.cache.settings import DATABASE, FILES, custom_cache, local_cache


@pytest.fixture(autouse=True)
def _new_caches() -> Iterator[None]:
    with override_settings(CACHES={"default": local_cache(), "far": local_cache()}):
        yield


@pytest.fixture(params=["local", "files", "database", "plain"])
def filled(request: pytest.FixtureRequest, tmp_path: Path, transactional_db: None) -> Iterator[Any]:
    """Return a cache of each kind, with the values of ``VALUES``."""
    params = {
        "local": local_cache(),
        "files": {"BACKEND": FILES, "LOCATION": str(tmp_path / "cache")},
        "database": {"BACKEND": DATABASE, "LOCATION": "cache_table"},
        "plain": custom_cache("Plain"),
    }[request.param]
    with override_settings(CACHES={"default": params}):
        if request.param == "database":
            call_command("createcachetable")
        caches["default"].clear()
        caches["default"].set_many(VALUES)
        if request.param == "plain":
            # A None counts as a miss, since this `get` may not accept the sentinel.
            caches["default"].set("none", False)
        yield caches["default"]
