"""What to watch: a dashboard and rules, said in the names that the settings give the families."""

from __future__ import annotations

from tachikoma_metrics.monitoring.alerts import slow_bound
from tachikoma_metrics.monitoring.dashboard import dashboard
from tachikoma_metrics.monitoring.dialect import Dialect
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.rule_file import rule_file
from tachikoma_metrics.monitoring.yaml_text import as_yaml

__all__ = ["Dialect", "Objectives", "as_yaml", "dashboard", "rule_file", "slow_bound"]
