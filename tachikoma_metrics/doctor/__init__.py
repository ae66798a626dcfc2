"""The diagnostics command: whether the metrics of this service are right, and if not, why."""
