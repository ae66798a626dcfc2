"""Every block of every page is tried.

Those of the tutorial are in ``test_tutorial``, those of the guide to Celery in ``test_celery``, and
those of the guide to migrating in ``test_migrating``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import django
import pytest
from prometheus_client import CollectorRegistry

from tests.docs.following import Reader
from tests.docs.pages import CELERY, DJANGO_TASKS, MIGRATING, PAGES, TUTORIAL, name_of
from tests.docs.terminals import Desk


@pytest.mark.usefixtures("model")
@pytest.mark.django_db
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page not in (CELERY, MIGRATING, TUTORIAL)], ids=name_of
)
def test_every_block_of_a_page_holds(
    page: Path, sit_down: Callable[[], Desk], registry: CollectorRegistry
):
    if page == DJANGO_TASKS and django.VERSION < (6, 0):
        pytest.skip("Django has tasks since 6.0.")
    Reader(page, sit_down).follow()
