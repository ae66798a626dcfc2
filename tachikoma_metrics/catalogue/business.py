"""Metrics of what the project is about, and of the refresh that counts its rows."""

from __future__ import annotations

from tachikoma_metrics.catalogue.database import ALIAS
from tachikoma_metrics.catalogue.definitions import Counter, Gauge, Label

SPEC_STATUS = Label("status", "The status of the spec.")
CHANGE_TYPE = Label("change_type", "The kind of change, such as `create`, `modify` or `delete`.")
CHANGE_STATUS = Label("status", "The outcome of the change, such as `applied`.")

BUSINESS = "`BUSINESS_METRICS`"
"""Declares the metrics that a refresh of the business metrics sets, unless they are opt-in."""

MISSIONS = Gauge("missions_total", "Missions that exist.", latest_wins=True, recorded_by=BUSINESS)
SPECS = Gauge(
    "specs_total",
    "Specs that exist.",
    (SPEC_STATUS,),
    latest_wins=True,
    recorded_by=BUSINESS,
)
FILE_CHANGES = Counter(
    "file_changes_total",
    "Changes made to files.",
    (CHANGE_TYPE, CHANGE_STATUS),
    recorded_by="`record_file_change`",
)
MIGRATIONS_UNAPPLIED = Gauge(
    "migrations_unapplied",
    "Migrations of installed apps that are not applied to the database.",
    (ALIAS,),
    latest_wins=True,
    opt_in=True,
    recorded_by=BUSINESS,
)
MIGRATIONS_APPLIED = Gauge(
    "migrations_applied",
    "Migrations that the database records as applied.",
    (ALIAS,),
    latest_wins=True,
    opt_in=True,
    recorded_by=BUSINESS,
)
