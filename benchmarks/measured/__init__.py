"""The modules that run in separate processes, one variant in each, and measure."""

from __future__ import annotations
