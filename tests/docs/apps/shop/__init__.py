"""An app that pages speak of: a shop."""

from __future__ import annotations
