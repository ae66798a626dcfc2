"""An app that pages speak of: tickets of teams."""

from __future__ import annotations
