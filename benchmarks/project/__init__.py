"""The measured Django project: a few routes, and nothing else."""

from __future__ import annotations
