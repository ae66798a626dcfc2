"""A parser of expositions that is as strict as any scraper."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

from tachikoma_metrics.exposition import OPENMETRICS, Format


def read(exposition: str, format: Format[str]) -> list[Metric]:
    """Return the families of an exposition; raise ``ValueError`` for an invalid one."""
    exposition.encode()
    families = list((openmetrics if format is OPENMETRICS else text)(exposition))
    _require_one_head_each(exposition)
    _require_each_sample_once(families)
    return families


def _require_one_head_each(exposition: str) -> None:
    heads = [
        tuple(line.split(" ")[1:3]) for line in exposition.split("\n") if line.startswith("# ")
    ]
    if len(set(heads)) < len(heads):
        raise ValueError("A family must have one header.")


def _require_each_sample_once(families: Iterable[Metric]) -> None:
    samples = [
        (sample.name, frozenset(sample.labels.items()), str(sample.timestamp))
        for family in families
        for sample in family.samples
    ]
    if len(set(samples)) < len(samples):
        raise ValueError("A sample must not be repeated.")
