"""The label values of statements, cached by the text of the statement."""

from __future__ import annotations

import sys

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from tachikoma_metrics.catalogue.labels import OTHER
from tachikoma_metrics.database import sql
from tachikoma_metrics.database.sql import DIALECTS, STANDARD, Dialect, Statement
from tachikoma_metrics.database.tables import ModelTables, SearchPath, search_path_of

LabelValues = tuple[str, str, str]
"""Operation, table and alias."""

_MIGRATIONS = "django_migrations"

_MAX_CACHED_TEXT = 16 * 2**10
_MAX_CACHED_BYTES = 4 * 2**20
_BYTES_PER_ENTRY = 256


class StatementLabels:
    """The label values of the statements of one database.

    ``cached`` is looked up by the text of a statement; ``parse`` adds to it. The texts in the
    caches of all databases together take no more than ``_MAX_CACHED_BYTES``.
    """

    __slots__ = ("_alias", "_dialect", "_search_path", "_tables", "cached")

    def __init__(self, alias: str, dialect: Dialect, search_path: SearchPath) -> None:
        self._alias = alias
        self._dialect = dialect
        self._search_path = search_path
        self.cached: dict[str, LabelValues] = {}
        self._tables: dict[Statement, str] = {}

    def parse(self, text: str, connection: BaseDatabaseWrapper) -> LabelValues:
        """Return the label values of a statement, and cache them."""
        statement = sql.parse(text, self._dialect)
        table = self._tables.get(statement, OTHER)
        if table is OTHER:
            # The model may have been added since.
            tables = _model_tables(connection, self._dialect)
            table = tables.label(statement, self._search_path)
            if table is not OTHER:
                self._tables[statement] = table
        values = statement.operation, table, self._alias
        _cache(self, text, values)
        return values

    def clear(self) -> None:
        """Empty the caches."""
        self.cached.clear()
        self._tables.clear()


def labels_of(connection: BaseDatabaseWrapper) -> StatementLabels:
    """Return the label values for a connection; connections to one database share them."""
    vendor = _vendor_of(type(connection))
    dialect = DIALECTS.get(vendor, STANDARD)
    return _labels_of(connection.alias, dialect, search_path_of(connection, vendor))


_by_database: dict[tuple[str, Dialect, SearchPath], StatementLabels] = {}


def _labels_of(alias: str, dialect: Dialect, search_path: SearchPath) -> StatementLabels:
    key = alias, dialect, search_path
    return _by_database.get(key) or _by_database.setdefault(key, StatementLabels(*key))


_vendors: dict[type[BaseDatabaseWrapper], str] = {}


def _vendor_of(engine: type[BaseDatabaseWrapper]) -> str:
    if engine not in _vendors:
        # An engine that is derived from one of Django's may have another vendor.
        vendors = (str(vars(base).get("vendor")) for base in engine.__mro__)
        _vendors[engine] = next((vendor for vendor in vendors if vendor in DIALECTS), "")
    return _vendors[engine]


_tables: dict[type[object], tuple[object, ModelTables]] = {}


def _model_tables(connection: BaseDatabaseWrapper, dialect: Dialect) -> ModelTables:
    # Django returns the same list until a model is added.
    models = apps.get_models(include_auto_created=True)
    operations = connection.ops
    known = _tables.get(type(operations))
    if known is not None and known[0] is models:
        return known[1]
    labels = [_MIGRATIONS, *(model._meta.db_table for model in models)]
    tables = ModelTables(labels, operations.quote_name, dialect)
    _tables[type(operations)] = models, tables
    # The cached label values do not know the new models.
    _clear()
    return tables


_cached_bytes = 0


def _clear() -> None:
    global _cached_bytes
    for labels in list(_by_database.values()):
        labels.clear()
    _cached_bytes = 0


def _cache(labels: StatementLabels, text: str, values: LabelValues) -> None:
    global _cached_bytes
    size = sys.getsizeof(text)
    if size > _MAX_CACHED_TEXT:
        return
    # Two threads may read the same sum and each add to it: until the caches are emptied, it is
    # then a little too low.
    _cached_bytes += size + _BYTES_PER_ENTRY
    if _cached_bytes > _MAX_CACHED_BYTES:
        _clear()
    labels.cached[text] = values
