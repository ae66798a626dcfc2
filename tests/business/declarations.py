"""Declarations of business metrics."""

from __future__ import annotations

from collections.abc import Callable

MISSIONS = {"missions_total": {"model": "missions.Mission"}}
SPECS = {"specs_total": {"model": "missions.Spec", "labels": {"status": "status"}}}

Declare = Callable[..., None]
