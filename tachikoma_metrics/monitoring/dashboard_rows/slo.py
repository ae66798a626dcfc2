"""The row of the service level objective, on the recording rules of ``metrics_rules``."""

from __future__ import annotations

from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.panels import HALF, THIRD, Panel, Query, Row
from tachikoma_metrics.monitoring.recording_rules import ERROR_RATE, REQUEST_RATE, error_ratio

PAGING_BURN_RATE = 14.4
"""That of the fastest alert: https://sre.google/workbook/alerting-on-slos/"""

_NO_RULES = "No data: load the rules"
_NEEDED = "Needs the recording rules of manage.py metrics_rules in Prometheus."
# Prometheus may retain less than that.
_RATIO = f"sum_over_time({ERROR_RATE}[30d]) / sum_over_time({REQUEST_RATE}[30d])"


def slo(objectives: Objectives) -> Row:
    """Return the row; each service has a separate number, or line."""
    objective, budget = objectives.availability, f"{objectives.error_budget:.12g}"
    return Row(
        "Service level objective",
        (
            Panel(
                "Availability (30 days)",
                f"Ratio of requests without a status of 500 or above. The objective is "
                f"{objective:g} %. {_NEEDED}",
                (Query(f"1 - {_RATIO}", "{{job}}", is_instant=True),),
                "percentunit",
                width=THIRD,
                kind="stat",
                max=1,
                decimals=3,
                lowest="red",
                steps=((round(objective / 100, 12), "green"),),
                without_data=_NO_RULES,
            ),
            Panel(
                "Error budget left (30 days)",
                "Ratio of the failures that the objective allows and that did not happen; below 0, "
                f"the objective is missed. {_NEEDED}",
                (Query(f"1 - ({_RATIO}) / {budget}", "{{job}}", is_instant=True),),
                "percentunit",
                width=THIRD,
                kind="stat",
                min=None,
                max=1,
                lowest="red",
                steps=((0, "orange"), (0.25, "green")),
                without_data=_NO_RULES,
            ),
            Panel(
                "Burn rate (1 hour)",
                "How fast the error budget is spent: at 1 it lasts 30 days, at "
                f"{PAGING_BURN_RATE:g} two days, and an alert pages. {_NEEDED}",
                (Query(f"{error_ratio('1h')} / {budget}", "{{job}}", is_instant=True),),
                width=THIRD,
                kind="stat",
                steps=((1, "orange"), (PAGING_BURN_RATE, "red")),
                without_data=_NO_RULES,
            ),
            Panel(
                "Burn rate by window",
                "Each alert compares a long window with a short one. The dashed lines are the "
                f"rates at which the budget lasts 30 days, and two. {_NEEDED}",
                tuple(
                    Query(f"{error_ratio(window)} / {budget}", f"{{{{job}}}} {window}")
                    for window in ("5m", "1h", "6h", "3d")
                ),
                steps=((1, "orange"), (PAGING_BURN_RATE, "red")),
                without_data=_NO_RULES,
            ),
            Panel(
                "Availability by hour",
                f"Ratio of requests without a status of 500 or above in the hour before. {_NEEDED}",
                (Query(f"1 - {error_ratio('1h')}", "{{job}}"),),
                "percentunit",
                width=HALF,
                min=None,
                max=1,
                without_data=_NO_RULES,
            ),
        ),
        is_expanded=True,
    )
