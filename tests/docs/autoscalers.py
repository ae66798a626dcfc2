"""What can be said of autoscalers without a cluster: their targets, queries and thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from tests.docs.names import faults_of_query

Manifest = dict[str, Any]

_TEMPLATES = {
    "<<.LabelMatchers>>": 'namespace="default",job="mysite"',
    "<<.GroupBy>>": "namespace",
}
"""What prometheus-adapter puts in the place of its templates."""


def faults(manifests: list[Manifest]) -> list[str]:
    """Return what is wrong with the autoscalers among manifests that belong together."""
    return [
        *_of_targets(manifests),
        *_of_scaled_objects(manifests),
        *_of_rules(manifests),
        *_of_external_metrics(manifests),
    ]


def _of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def _of_targets(manifests: list[Manifest]) -> Iterator[str]:
    deployments = {one["metadata"]["name"] for one in _of_kind(manifests, "Deployment")}
    for kind, prefix in (("ScaledObject", "ReplicaCount"), ("HorizontalPodAutoscaler", "Replicas")):
        for scaler in _of_kind(manifests, kind):
            spec = scaler["spec"]
            target = spec["scaleTargetRef"]["name"]
            if deployments and target not in deployments:
                yield f"{kind} should scale a Deployment, not {target}"
            if not 0 < spec[f"min{prefix}"] < spec[f"max{prefix}"]:
                yield f"{kind} should have room between its least and its most replicas"


def _of_scaled_objects(manifests: list[Manifest]) -> Iterator[str]:
    for scaled in _of_kind(manifests, "ScaledObject"):
        for trigger in scaled["spec"]["triggers"]:
            metadata = trigger["metadata"]
            yield from faults_of_query(metadata["query"])
            if not all(isinstance(value, str) for value in metadata.values()):
                yield "KEDA takes text only: a threshold is quoted"
            if trigger.get("metricType", "AverageValue") not in ("AverageValue", "Value"):
                yield f"{trigger['metricType']} is no type of a metric"
            if not float(metadata["threshold"]) > 0:
                yield "a threshold should be above zero"


def _rules(manifests: list[Manifest]) -> Iterator[dict[str, Any]]:
    for config in _of_kind(manifests, "ConfigMap"):
        for text in config["data"].values():
            yield from yaml.safe_load(text)["externalRules"]


def _of_rules(manifests: list[Manifest]) -> Iterator[str]:
    for rule in _rules(manifests):
        query = rule["metricsQuery"]
        for template, text in _TEMPLATES.items():
            query = query.replace(template, text)
        yield from faults_of_query(rule["seriesQuery"])
        yield from faults_of_query(query)


def _of_external_metrics(manifests: list[Manifest]) -> Iterator[str]:
    named = {rule["name"]["as"] for rule in _rules(manifests)}
    for scaler in _of_kind(manifests, "HorizontalPodAutoscaler"):
        for metric in scaler["spec"]["metrics"]:
            external = metric["external"]
            if external["metric"]["name"] not in named:
                yield f"no rule of the adapter is named {external['metric']['name']}"
            target = external["target"]
            if target["type"][0].lower() + target["type"][1:] not in target:
                yield f"a target of the type {target['type']} should have that value"
