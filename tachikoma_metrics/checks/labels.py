"""Checks of ``LABELS``, ``GLOBAL_LABELS`` and ``EXTRA_LABELS``."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from django.core.checks import CheckMessage, register

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.business.declarations import CATALOGUED, declared
from tachikoma_metrics.checks.callables import trouble_with_request_to
from tachikoma_metrics.checks.messages import error, example, warning
from tachikoma_metrics.checks.metric_names import LABELLED
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.registry.shapes import possible_labels


@register
def check_label_names(**kwargs: Any) -> list[CheckMessage]:
    """E004: ``LABELS`` gives a metric a label that it cannot have."""
    config = conf.config()
    return [
        _unknown_label(name, label, possible)
        for name, labels in config.labels.items()
        if name in LABELLED
        for possible in [possible_labels(catalogue.FAMILIES[name], config)]
        for label in labels
        if label not in possible
    ]


def _unknown_label(name: str, label: str, possible: Collection[str]) -> CheckMessage:
    hint = f"Remove or correct it. {example('LABELS')}"
    if name in catalogue.RECORDED_BY_REQUESTS:
        hint = (
            "Remove or correct it, or define it in EXTRA_LABELS. Example: "
            f'"EXTRA_LABELS": {{"{label}": "shop.metrics.{label}"}}'
        )
    return error(
        "E004",
        f"Unknown label '{label}' of '{name}' in LABELS. {conf.did_you_mean(label, possible)}",
        hint,
    )


class LabelOwner(NamedTuple):
    """A metric with labels, and what besides renaming the global label avoids a conflict."""

    name: str
    labels: Collection[str]
    remedy: str


@register
def check_global_labels(**kwargs: Any) -> list[CheckMessage]:
    """E005: a label in ``GLOBAL_LABELS`` has the name of a label that a metric has already."""
    names = conf.config().global_label_names
    owners: dict[str, list[LabelOwner]] = {}
    for owner in (*_owners_in_catalogue(), *_owners_in_business()):
        for label in owner.labels:
            if label in names:
                owners.setdefault(label, []).append(owner)
    return [_taken_label(label, having) for label, having in owners.items()]


def _owners_in_catalogue() -> Iterator[LabelOwner]:
    for bound in METRICS.all_bound():
        if bound.is_on:
            remedy = "" if bound.family.is_own_health else ", or drop the other one with LABELS"
            yield LabelOwner(bound.shape.full_name, bound.shape.label_names, remedy)


def _owners_in_business() -> Iterator[LabelOwner]:
    catalogued = {gauge.name for gauge in CATALOGUED}
    for family in declared():
        if family.name not in catalogued:
            yield LabelOwner(family.name, family.labels, ", or the one in BUSINESS_METRICS")


def _taken_label(label: str, owners: list[LabelOwner]) -> CheckMessage:
    others = f" and {len(owners) - 1} more" if len(owners) > 1 else ""
    remedies = {owner.remedy for owner in owners}
    remedy = remedies.pop() if len(remedies) == 1 else ""
    return error(
        "E005",
        f"'{label}' in GLOBAL_LABELS is already a label of '{owners[0].name}'{others}. A global "
        "label must have another name.",
        f"Rename the global label{remedy}. {example('GLOBAL_LABELS')}",
    )


@register
def check_extra_labels(**kwargs: Any) -> list[CheckMessage]:
    """E006: a path in ``EXTRA_LABELS`` does not lead to a plain function of the request."""
    return [
        error(
            "E006",
            f"'{dotted_path}' in EXTRA_LABELS[\"{label}\"] {trouble}. It must be the dotted path "
            "of a function that takes the request and returns the label's value.",
            f"Write a function such as def {label}(request). {example('EXTRA_LABELS')}",
        )
        for label, dotted_path in conf.config().extra_labels.items()
        if (trouble := trouble_with_request_to(dotted_path))
    ]


@register
def check_extra_label_names(**kwargs: Any) -> list[CheckMessage]:
    """E007: a label in ``EXTRA_LABELS`` has the name of a built-in label."""
    config = conf.config()
    built_in = {
        label
        for name in catalogue.RECORDED_BY_REQUESTS
        for label in catalogue.FAMILIES[name].allowed_label_names
    }
    return [
        error(
            "E007",
            f"'{label}' in EXTRA_LABELS is a built-in label of HTTP metrics. A custom label must "
            "have another name.",
            f"Rename it. {example('EXTRA_LABELS')}",
        )
        for label in config.extra_labels
        if label in built_in
    ]


@register
def check_extra_labels_are_used(**kwargs: Any) -> list[CheckMessage]:
    """W007: ``LABELS`` adds a label of ``EXTRA_LABELS`` to no metric."""
    config = conf.config()
    return [
        warning(
            "W007",
            f"'{label}' in EXTRA_LABELS is not used. It must be added to an HTTP metric in LABELS.",
            f'Add it. Example: "LABELS": {{"http_requests_total": ["method", "{label}"]}}',
        )
        for label in config.extra_labels
        if label not in config.request_labels
    ]
