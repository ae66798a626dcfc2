"""Where the processes of this service share their values."""

from __future__ import annotations

from collections.abc import Iterator

from tachikoma_metrics.doctor.findings import ERROR, OK, WARNING, Finding
from tachikoma_metrics.registry import directories
from tachikoma_metrics.store import STORE, Exposed

CHECK = "store"
OTHER_VERSIONS = "other-versions"

_SET_A_DIRECTORY = 'Set it to another path. Example: "STORE_DIR": "/run/shop/metrics"'


def of_store() -> Finding:
    """Return whether all processes share their values, and where."""
    where = STORE.where()
    if not where:
        return Finding(
            CHECK,
            WARNING,
            "Each process keeps its values in its own memory, and serves only those.",
            'To share them, remove the setting. Example: "STORE_DIR": "auto"',
        )
    obstacle = STORE.obstacle()
    if isinstance(obstacle, Exposed):
        return Finding(
            CHECK, WARNING, f"The directory of STORE_DIR is not safe: {obstacle}", _SET_A_DIRECTORY
        )
    if obstacle is not None:
        message = f"The directory of STORE_DIR cannot be used: {obstacle}"
        return Finding(CHECK, ERROR, message, _SET_A_DIRECTORY)
    return Finding(CHECK, OK, f"All processes share their values in {where[0]}.")


def of_other_versions() -> Iterator[Finding]:
    """Yield a finding if another version of the package has a directory of this service."""
    found = dict(directories.of_other_layouts())
    in_use = [path for path, is_held in found.items() if is_held]
    if in_use:
        yield Finding(
            OTHER_VERSIONS,
            WARNING,
            "Processes of this service run another version of tachikoma_metrics, and share their "
            f"values in {', '.join(in_use)}: their metrics endpoint serves other values.",
            "Restart these processes.",
        )
    elif found:
        yield Finding(
            OTHER_VERSIONS,
            OK,
            f"Another version of tachikoma_metrics left {', '.join(found)}, which no process "
            "uses. Counters have started at zero since.",
        )
