"""Blocks of text: drawings, and excerpts of the page, whose every line is looked at."""

from __future__ import annotations

import re

from sybil import Example

from tachikoma_metrics.exposition.parse import parse_text
from tests.docs.names import KNOWN, PAGE_LABELS

_SAMPLE = re.compile(r"[a-z_]+(\{[^}]*\})? [0-9.e+]+", re.ASCII)


def evaluate(example: Example) -> None:
    """Parse an excerpt of the page, if it is one, and look its samples up."""
    lines = str(example.parsed).splitlines()
    if any(_SAMPLE.fullmatch(line) for line in lines):
        assert faults_of_page(lines) == []


def faults_of_page(lines: list[str]) -> list[str]:
    """Return what is wrong with lines of the page; comments say nothing."""
    told = [line for line in lines if line and not line.startswith("#")]
    faults = [f"{line} is no sample" for line in told if not _SAMPLE.fullmatch(line)]
    if faults:
        return faults
    for name, pairs in parse_text("\n".join(told) + "\n"):
        if name not in KNOWN:
            faults.append(f"{name} is no metric")
        elif strange := {label for label, _ in pairs} - KNOWN[name] - PAGE_LABELS:
            faults.append(f"{name} has no label {', '.join(sorted(strange))}")
    return faults
