"""What can be said of Kubernetes' manifests without a cluster: kinds, names and references."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.docs import autoscalers

Manifest = dict[str, Any]

VERSIONS = {
    "ConfigMap": "v1",
    "CronJob": "batch/v1",
    "Deployment": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodMonitor": "monitoring.coreos.com/v1",
    "ScaledObject": "keda.sh/v1alpha1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceMonitor": "monitoring.coreos.com/v1",
}


def faults(manifests: list[Manifest]) -> list[str]:
    """Return what is wrong with manifests that belong together."""
    return [
        *_of_versions(manifests),
        *_of_deployments(manifests),
        *_of_services(manifests),
        *_of_monitors(manifests),
        *_of_secrets(manifests),
        *autoscalers.faults(manifests),
    ]


def _of_kind(manifests: list[Manifest], kind: str) -> Iterator[Manifest]:
    return (manifest for manifest in manifests if manifest["kind"] == kind)


def _is_selected(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _of_versions(manifests: list[Manifest]) -> Iterator[str]:
    for manifest in manifests:
        kind, version = manifest["kind"], manifest["apiVersion"]
        if VERSIONS.get(kind) != version:
            yield f"{kind} should be of {VERSIONS.get(kind)}; it is of {version}"
        if not manifest["metadata"]["name"]:
            yield f"{kind} should have a name"


def _of_deployments(manifests: list[Manifest]) -> Iterator[str]:
    for deployment in _of_kind(manifests, "Deployment"):
        spec, template = deployment["spec"], deployment["spec"]["template"]
        if not _is_selected(spec["selector"]["matchLabels"], template["metadata"]["labels"]):
            yield "the Deployment should select its own pods"
        volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
        for container in template["spec"]["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for mount in container.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{mount['name']} should be a volume"
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if port is not None and port not in ports:
                    yield f"{probe} should name a port of the container, not {port}"


def _of_services(manifests: list[Manifest]) -> Iterator[str]:
    templates = [d["spec"]["template"] for d in _of_kind(manifests, "Deployment")]
    for service in _of_kind(manifests, "Service"):
        selector = service["spec"]["selector"]
        behind = [t for t in templates if _is_selected(selector, t["metadata"]["labels"])]
        ports = {
            port["name"]
            for template in behind
            for container in template["spec"]["containers"]
            for port in container.get("ports", [])
        }
        if not behind:
            yield "the Service should select the pods of a Deployment"
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"{port['targetPort']} should be a port of the pods"


def _of_monitors(manifests: list[Manifest]) -> Iterator[str]:
    services = list(_of_kind(manifests, "Service"))
    for monitor in _of_kind(manifests, "ServiceMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"]
        behind = [s for s in services if _is_selected(selector, s["metadata"].get("labels", {}))]
        ports = {port["name"] for service in behind for port in service["spec"]["ports"]}
        if not behind:
            yield "the ServiceMonitor should select a Service"
        for endpoint in monitor["spec"]["endpoints"]:
            if endpoint["port"] not in ports:
                yield f"{endpoint['port']} should be a port of the Service"


def _of_secrets(manifests: list[Manifest]) -> Iterator[str]:
    keys = {
        (secret["metadata"]["name"], key)
        for secret in _of_kind(manifests, "Secret")
        for key in {**secret.get("data", {}), **secret.get("stringData", {})}
    }
    for monitor in _of_kind(manifests, "ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            wanted = endpoint.get("authorization", {}).get("credentials")
            if wanted is not None and (wanted["name"], wanted["key"]) not in keys:
                yield f"{wanted['name']} should be a Secret with the key {wanted['key']}"
    for deployment in _of_kind(manifests, "Deployment"):
        for volume in deployment["spec"]["template"]["spec"].get("volumes", []):
            name = volume.get("secret", {}).get("secretName")
            if name is not None and name not in {secret for secret, _ in keys}:
                yield f"{name} should be a Secret"
