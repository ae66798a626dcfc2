"""The Grafana dashboard and the Prometheus rules, generated to match the settings."""

from __future__ import annotations

from tachikoma_metrics.monitoring.alerts import slow_bound
from tachikoma_metrics.monitoring.dashboard import DashboardOptions, dashboard
from tachikoma_metrics.monitoring.metric_names import MetricNames
from tachikoma_metrics.monitoring.native_queries import queried_natively
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.rule_file import rule_file
from tachikoma_metrics.monitoring.usage import unused_metrics
from tachikoma_metrics.monitoring.view_rules import view_rule_file
from tachikoma_metrics.monitoring.yaml_text import as_yaml

__all__ = [
    "DashboardOptions",
    "MetricNames",
    "Objectives",
    "as_yaml",
    "dashboard",
    "queried_natively",
    "rule_file",
    "slow_bound",
    "unused_metrics",
    "view_rule_file",
]
