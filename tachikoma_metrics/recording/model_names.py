"""The values of the label ``model``: a bounded number of models."""

from __future__ import annotations

from tachikoma_metrics import conf
from tachikoma_metrics.catalogue.labels import OTHER, clean
from tachikoma_metrics.registry import METRICS

_MOST_MODELS = 50

_first_models: set[str] = set()


def model_name(model: object) -> str:
    """Return the model if ``LLM_MODELS`` lists it, else ``other``.

    Without a list, it is the model if that is one of the first 50 of this process.
    """
    try:
        name = clean(model)
    except Exception as error:
        METRICS.count_error("execution", error)
        return OTHER
    listed = conf.config().llm_models
    if listed:
        return name if name in listed else OTHER
    if name not in _first_models and len(_first_models) < _MOST_MODELS:
        _first_models.add(name)
    return name if name in _first_models else OTHER


def forget_models() -> None:
    """Forget which models were the first. For tests."""
    _first_models.clear()
