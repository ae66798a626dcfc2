"""What ``manage.py`` can do."""

from __future__ import annotations
