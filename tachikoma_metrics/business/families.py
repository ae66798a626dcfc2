"""What ``BUSINESS_METRICS`` declares."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError
from django.db.models import Model
from django.utils.module_loading import import_string

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.business.callables import is_coroutine_function, trouble_with_arguments
from tachikoma_metrics.catalogue.definitions import Gauge, is_legal_label, is_legal_name
from tachikoma_metrics.conf import Config

CATALOGUED: tuple[Gauge, ...] = (catalogue.MISSIONS, catalogue.SPECS)
"""The families of the catalogue that are counted so."""


@dataclass(frozen=True)
class BusinessFamily:
    """A gauge that is counted: rows of a model, or what a callable returns.

    ``labels`` are label names and, for a model, the field or look-up of each.
    """

    name: str
    help: str
    labels: Mapping[str, str]
    model_label: str = ""
    callable_path: str = ""
    filter: Mapping[str, Any] | None = None

    @property
    def model(self) -> type[Model]:
        """Return the model; raise ``LookupError`` or ``ValueError`` if there is none."""
        return apps.get_model(self.model_label)

    @property
    def callable(self) -> Callable[[], Any]:
        """Return the callable; raise ``ImportError`` or ``TypeError`` if it is none."""
        found = import_string(self.callable_path)
        if not callable(found):
            raise TypeError(f"{self.callable_path} should be a callable; it is {found!r}.")
        if is_coroutine_function(found):
            raise TypeError(
                f"{self.callable_path} should be a plain function; it is a coroutine function, and "
                "cannot be awaited here."
            )
        return found  # type: ignore[no-any-return]  # What it returns is looked at.


def declared(config: Config | None = None) -> list[BusinessFamily]:
    """Return the families that the settings, or those of ``config``, declare."""
    config = config or conf.config()
    return [_family(name, one) for name, one in config.business_metrics.items()]


def _family(name: str, declaration: Mapping[str, Any]) -> BusinessFamily:
    labels = declaration.get("labels") or {}
    return BusinessFamily(
        name=name,
        help=str(declaration.get("help") or _help(name, declaration)),
        labels=dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(labels, ""),
        model_label=str(declaration.get("model", "")),
        callable_path=str(declaration.get("callable", "")),
        filter=declaration.get("filter"),
    )


def _help(name: str, declaration: Mapping[str, Any]) -> str:
    for gauge in CATALOGUED:
        if gauge.name == name:
            return gauge.help
    if "callable" in declaration:
        return f"What {declaration['callable']} returns."
    return f"Rows of {declaration['model']}, counted now and then."


@dataclass(frozen=True)
class Obstacle:
    """Say what stands against counting a family, and the remedy."""

    says: str
    remedy: str


def obstacles(family: BusinessFamily) -> Iterator[Obstacle]:
    """Yield what stands against counting a family; asks no database."""
    yield from obstacles_of_names(family)
    yield from (
        _obstacles_of_callable(family) if family.callable_path else _obstacles_of_model(family)
    )


def obstacles_of_names(family: BusinessFamily) -> Iterator[Obstacle]:
    """Yield what stands against the names of a family and its labels."""
    if not is_legal_name(family.name):
        says = "its name should be a legal metric name, of letters, digits and underscores."
        yield Obstacle(says, "Rename it.")
    own = next((gauge for gauge in CATALOGUED if gauge.name == family.name), None)
    if own is None and _is_taken(family.name):
        says = "its name should be another: it is that of a family which is measured."
        yield Obstacle(says, "Rename it.")
    for label in family.labels:
        if not is_legal_label(label):
            yield Obstacle(f"{label!r} should be a legal label name.", "Rename the label.")
    if own is not None and not set(family.labels) <= set(own.label_names):
        says = f"its labels should be of {list(own.label_names)}; got {list(family.labels)}."
        yield Obstacle(says, "Leave the label out, or give the family another name.")


_MEASURED_ELSEWHERE = ("process_", "python_", "scrape_", "tachikoma_metrics_")
"""How the names begin of what we, prometheus_client and Prometheus itself tell."""


def _is_taken(name: str) -> bool:
    namespace = conf.config().namespace
    bare = name.removeprefix(f"{namespace}_") if namespace else name
    reserved = frozenset[str]().union(
        *(one.reserved_names(one.name) for one in catalogue.FAMILIES.values())
    )
    return bool({name, bare} & reserved) or name == "up" or name.startswith(_MEASURED_ELSEWHERE)


def _obstacles_of_callable(family: BusinessFamily) -> Iterator[Obstacle]:
    trouble = _trouble_with_callable(family)
    if trouble:
        yield Obstacle(trouble, _REMEDY_FOR_CALLABLE)
    if family.filter is not None:
        says = "its `filter` should be left out: that is for models."
        yield Obstacle(says, "Have the callable do the filtering.")


_REMEDY_FOR_CALLABLE = (
    "Name the dotted path of a function that takes no arguments and returns a number, such as "
    '"shop.metrics.open_orders".'
)


def _trouble_with_callable(family: BusinessFamily) -> str:
    try:
        trouble = trouble_with_arguments(family.callable)
    except TypeError as error:
        return str(error)
    except Exception as error:
        return f"its callable, {family.callable_path!r}, cannot be imported: {error}"
    return trouble and (
        f"its callable, {family.callable_path!r}, cannot be called without arguments: {trouble}."
    )


def _obstacles_of_model(family: BusinessFamily) -> Iterator[Obstacle]:
    try:
        model = family.model
    except (LookupError, ValueError):
        says = "its model should be that of an installed app, as `app.Model`; got "
        yield Obstacle(f"{says}{family.model_label!r}.", _remedy_for_model(family.model_label))
        return
    try:
        # Finds the fields and makes SQL, and asks nobody.
        rows = model._default_manager.filter(**(family.filter or {}))
        str(rows.values(*family.labels.values()).query)
    except (EmptyResultSet, DatabaseError):
        # Nothing matches, or the database has to be asked.
        return
    except Exception as error:
        says = f"its `filter` and `labels` should name fields of {family.model_label}: {error}"
        yield Obstacle(says, "Name fields, or look-ups such as `team__slug`.")


def _remedy_for_model(written: str) -> str:
    """Return what to write for a model: by its class, by its name, or for one that is alike."""
    labels = {model._meta.label.lower(): model._meta.label for model in apps.get_models()}
    lowered = written.lower().strip(".")
    name = lowered.rpartition(".")[2]
    named = [label for label in labels if label.rpartition(".")[2] == name]
    # Of several models of one name, that of an app which is named, too.
    for label in sorted(named, key=lambda one: one.partition(".")[0] not in lowered.split(".")):
        return f'Write "{labels[label]}".'
    for match in difflib.get_close_matches(lowered, labels, n=1):
        return f'Did you mean "{labels[match]}"?'
    return 'Write the label of the app and the name of the model, as in "auth.User".'
