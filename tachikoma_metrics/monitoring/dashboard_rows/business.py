"""The row of business metrics, and panels about their refresh."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import THIRD, Panel, Query, Row, rate

BUSINESS = Row(
    "Business",
    (
        Panel(
            "Missions",
            "Missions that exist.",
            (Query("max by (<service>) (missions_total)", "{{job}} missions"),),
            width=THIRD,
        ),
        Panel(
            "Specs by status",
            "Specs that exist.",
            (Query("max by (<service>, status) (specs_total)", "{{job}} {{status}}"),),
            width=THIRD,
            is_stacked=True,
        ),
        Panel(
            "Changes to files",
            "Changes per second, by type and outcome.",
            rate("file_changes_total", "change_type, status", "{{change_type}} {{status}}"),
            "ops",
            width=THIRD,
        ),
        Panel(
            "Migrations to apply",
            "Migrations that a database lacks. More than none after a deployment: it did not run "
            "`migrate`.",
            (Query("max by (<service>, alias) (migrations_unapplied)", "{{job}} {{alias}}"),),
            width=THIRD,
        ),
        Panel(
            "Migrations applied",
            "Migrations that a database has recorded as applied.",
            (Query("max by (<service>, alias) (migrations_applied)", "{{job}} {{alias}}"),),
            width=THIRD,
        ),
    ),
)

FRESHNESS = (
    Panel(
        "Age of the business metrics",
        "Since the start of the refresh that produced them. Metrics that are too old are removed.",
        (
            Query(
                "time() - max by (<service>) (tachikoma_metrics_business_timestamp_seconds)",
                "{{job}}",
            ),
        ),
        "s",
        width=THIRD,
    ),
    Panel(
        "Refresh duration",
        "Seconds that the last refresh took.",
        (
            Query(
                "max by (<service>) (tachikoma_metrics_business_refresh_duration_seconds)",
                "{{job}}",
            ),
        ),
        "s",
        width=THIRD,
    ),
    Panel(
        "Business metric refresh errors",
        "Metrics that could not be refreshed, and instances that expose their last copy.",
        (
            Query(
                "max by (<service>) (tachikoma_metrics_business_refresh_errors)",
                "{{job}} not counted",
            ),
            Query("count(tachikoma_metrics_business_up == 0) or vector(0)", "last copy"),
        ),
        width=THIRD,
    ),
)
