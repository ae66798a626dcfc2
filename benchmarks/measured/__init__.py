"""What runs in processes of its own, one variant in each, and answers with figures."""

from __future__ import annotations
