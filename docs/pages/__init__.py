"""What the documentation says that the code says already: one module for each page."""

from __future__ import annotations
