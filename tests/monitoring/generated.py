"""The dashboard and the rules that the commands generate."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import yaml
from django.core.management import call_command
from django.test import override_settings

from tachikoma_metrics import catalogue

OPT_IN = [name for name, family in catalogue.FAMILIES.items() if family.opt_in]
COUNTED = {
    "missions_total": {"model": "missions.Mission"},
    "specs_total": {"model": "missions.Spec", "labels": {"status": "status"}},
}
EVERYTHING = {"EXTRA_METRICS": OPT_IN, "BUSINESS_METRICS": COUNTED}


def written(command: str, *arguments: str, **settings: object) -> str:
    """Return the output of a command in a service with these settings."""
    output = io.StringIO()
    with override_settings(TACHIKOMA_METRICS=settings):
        call_command(command, *arguments, stdout=output, stderr=io.StringIO())
    return output.getvalue()


def dashboard(**settings: object) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(written("metrics_dashboard", "--all", **settings))
    return board


def rules(*arguments: str, **settings: object) -> list[dict[str, Any]]:
    made = yaml.safe_load(written("metrics_rules", *arguments, **settings))
    return [rule for group in made["groups"] for rule in group["rules"]]


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels, including those of collapsed rows."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def expressions(board: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in panels(board) for target in panel["targets"]]


def rule(name: str, *arguments: str, **settings: object) -> dict[str, Any]:
    """Return the first rule of a name."""
    return next(
        one
        for one in rules(*arguments, **settings)
        if name in (one.get("alert"), one.get("record"))
    )
