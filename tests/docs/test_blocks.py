"""Every block of every page is tried; those of the tutorial in ``test_tutorial``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from tests.docs.following import Reader
from tests.docs.pages import PAGES, TUTORIAL, name_of
from tests.docs.terminals import Desk


@pytest.mark.usefixtures("model")
@pytest.mark.django_db
@pytest.mark.parametrize("page", [page for page in PAGES if page != TUTORIAL], ids=name_of)
def test_every_block_of_a_page_holds(
    page: Path, sit_down: Callable[[], Desk], registry: CollectorRegistry
):
    Reader(page, sit_down).follow()
