"""The Django project that is measured: a few routes, and as little else as possible."""

from __future__ import annotations
