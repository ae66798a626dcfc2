"""Which clients may read the metrics."""

from __future__ import annotations

from tachikoma_metrics import conf
from tachikoma_metrics.checks.access import is_open
from tachikoma_metrics.conf import Config
from tachikoma_metrics.doctor.findings import ERROR, OK, WARNING, Finding, counted
from tachikoma_metrics.page import bearer_tokens

CHECK = "access"


def of_access() -> Finding:
    """Return the access rules in force, and whether they restrict anything."""
    config = conf.config()
    unreadable = bearer_tokens.unreadable(config)
    if unreadable:
        return Finding(
            CHECK,
            ERROR,
            f"No token can be read from a file in TOKENS: {'; '.join(unreadable)}.",
            "Make the file readable for the user that the service runs as, with one token per "
            "line.",
        )
    message = f"Access is limited to: {_rules(config)}."
    if not is_open(config):
        return Finding(CHECK, OK, message)
    return Finding(
        CHECK,
        WARNING,
        f"Access is not limited: {_rules(config)}. All clients that reach the service can read its "
        "metrics.",
        'Name networks, or set TOKENS. Example: "ALLOWED_NETWORKS": ["private"]',
    )


def _rules(config: Config) -> str:
    rules = [f"networks {', '.join(config.allowed_networks) or 'none'}"]
    if config.tokens:
        rules.append(counted(len(bearer_tokens.readable(config)), "token"))
    if config.permission:
        rules.append(f"permission {config.permission}")
    return "; ".join(rules)
