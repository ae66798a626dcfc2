"""One line of what has to change in a project."""

from __future__ import annotations

from dataclasses import dataclass

CHANGE, DONE, KEEP, NONE = "change", "done", "keep", "none"
"""The status of a step: to do, done already, stays as it is, or without an equivalent."""

INSTALL, VIEW, VERIFY, SWITCH, REMOVE = "install", "view", "verify", "switch", "remove"
LOST = "lost"

PHASES = {
    INSTALL: "Install tachikoma_metrics beside django-prometheus.",
    VIEW: "Count under the names of django-prometheus, too. Then restart the service.",
    VERIFY: "Compare, after some traffic.",
    SWITCH: "Take django-prometheus out of the project. Then restart the service.",
    REMOVE: "Remove what is left of it.",
    LOST: "What has no equivalent.",
}
"""The phases of the replacement in their order, with what happens in each."""


@dataclass(frozen=True)
class Step:
    """One thing to change, or one that need not be changed.

    ``place`` is a setting, a file with its line, or what else has to change; ``value`` is what
    to write or to run there, or "".
    """

    phase: str
    status: str
    place: str
    message: str
    value: str = ""
