"""Blocks of YAML: for Prometheus, for Kubernetes, and for the provisioning of Grafana."""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from sybil import Example

from tests.docs import grafana, kubernetes
from tests.docs.names import faults_of_query
from tests.services.prometheus import Promtool, promtools

_UNKNOWN = re.compile(r"field (\w+) not found")
_NEWER = {
    "always_scrape_classic_histograms",
    "convert_classic_histograms_to_nhcb",
    "scrape_native_histograms",
}
"""Options of Prometheus 3, the last of which came with 3.8."""


def evaluate(example: Example) -> None:
    """Have promtool, or our own eyes, look at a block, by what is in it."""
    documents = list(yaml.safe_load_all(example.parsed))
    if all(document.get("apiVersion") == 1 for document in documents):
        assert [one for document in documents for one in grafana.faults(document)] == []
        return
    if all("apiVersion" in document for document in documents):
        # A page's manifests belong together.
        manifests = example.namespace.setdefault("manifests", [])
        manifests += documents
        assert kubernetes.faults(manifests) == []
        return
    (document,) = documents
    if "groups" in document:
        promtool("rules", str(example.parsed))
        assert {
            rule: faults for rule in _rules(document) if (faults := faults_of_query(rule))
        } == {}
    elif {"scrape_configs", "rule_files"} & set(document):
        # Without a look at the files it names, which are the reader's.
        promtool("config", str(example.parsed), "--syntax-only")
    elif {"receivers", "exporters", "service"} == set(document):
        # A Collector is not there to be asked: what its pipelines name must be declared.
        for pipeline in document["service"]["pipelines"].values():
            for kind, names in pipeline.items():
                assert set(names) <= set(document[kind]), names
    else:
        raise ValueError(f"Nobody knows what this is for: {', '.join(document)}")


def promtool(kind: str, text: str, *options: str) -> None:
    """Fail if a promtool, old or new, finds fault with a file of this kind."""
    for name in promtools():
        checked = _checked(name, kind, text, *options)
        unknown = set(_UNKNOWN.findall(checked.stdout + checked.stderr))
        if unknown and unknown <= _NEWER:
            lines = [
                line for line in text.splitlines() if line.strip().split(":")[0] not in unknown
            ]
            checked = _checked(name, kind, "\n".join(lines), *options)

        assert checked.returncode == 0, checked.stdout + checked.stderr


def _checked(name: str, kind: str, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "block.yml").write_text(text)
        return Promtool(name, Path(home)).run("check", kind, *options, "block.yml")


def _rules(document: dict[str, Any]) -> list[str]:
    return [rule["expr"] for group in document["groups"] for rule in group["rules"]]
