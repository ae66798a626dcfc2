"""The two lines that the guides have their readers add to the Celery app."""

from __future__ import annotations

import pytest
from celery import Celery

from tests.docs.conftest import blocks_of_files
from tests.docs.files import is_addition
from tests.docs.pages import ROOT

GUIDES = [ROOT / "docs" / "guides" / name for name in ("business.md", "celery.md")]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_the_lines_keep_the_app_and_what_it_has_scheduled(guide):
    (block,) = filter(is_addition, blocks_of_files(guide))
    app = Celery("shop", broker="memory://")
    app.conf.beat_schedule = {"nightly": {"task": "shop.tasks.tidy", "schedule": 86400}}
    there = {"app": app}

    exec(block, there)  # noqa: S102  # As a reader's module would.

    assert there["app"] is app
    assert app.conf.broker_url == "memory://"
    assert sorted(app.conf.beat_schedule) == [
        "nightly",
        "tachikoma_metrics: refresh business metrics",
    ]
