"""An app that pages speak of: what customers have paid for."""

from __future__ import annotations
