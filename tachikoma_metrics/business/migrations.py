"""Counts of migrations by database, for a refresh: they read files and ask each database."""

from __future__ import annotations

from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder


def unapplied() -> dict[str, int]:
    """Return how many migrations of the installed apps each database lacks."""
    return {alias: _unapplied_in(alias) for alias in connections}


def applied() -> dict[str, int]:
    """Return how many migrations each database has recorded."""
    return {
        alias: len(MigrationRecorder(connections[alias]).applied_migrations())
        for alias in connections
    }


def _unapplied_in(alias: str) -> int:
    loader = MigrationLoader(connections[alias])
    wanted = {
        node for leaf in loader.graph.leaf_nodes() for node in loader.graph.forwards_plan(leaf)
    }
    return len(wanted - set(loader.applied_migrations))
