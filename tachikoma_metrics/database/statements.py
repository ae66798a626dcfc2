"""The label values of statements, cached by the text of the statement, or by its beginning.

Django's ORM makes many texts that differ in the length of a list, or in a number, and begin alike
up to the table. Most of a long text is then neither hashed nor compared, and it is parsed once.
"""

from __future__ import annotations

import sys

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from tachikoma_metrics.catalogue.labels import OTHER
from tachikoma_metrics.database import sql
from tachikoma_metrics.database.sql import DIALECTS, STANDARD, Dialect, Statement
from tachikoma_metrics.database.tables import ModelTables, SearchPath, search_path_of
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import SeriesGroup

LabelValues = tuple[str, str, str]
"""Operation, table and alias."""

_MIGRATIONS = "django_migrations"

_MAX_CACHED_TEXT = 16 * 2**10
_MAX_CACHED_BYTES = 4 * 2**20
_BYTES_PER_ENTRY = 256


_MARKS = {"S": "F", "D": "F", "I": "(", "U": "="}
"""A character before which the ORM's statements name their table, or just before it does."""


def beginning(text: str) -> str:
    """Return the beginning of a statement, as far as the ORM's have named their table.

    It ends with a space, or is empty. To look for one character is many times as quick as to look
    for a word, so the beginning of another statement may be any; the parser knows if it decides.
    """
    mark = _MARKS.get(text[:1])
    if mark is None:
        return ""
    # 5 is the length of "FROM ".
    end = text.find(" ", text.find(mark) + 5)
    # The word after the table says that its name is over.
    return text[: text.find(" ", end + 1) + 1]


class Labelled:
    """The label values of statements, and the series of them once they are known.

    ``group`` is None while the settings ask for anything else than to record the query in it.
    """

    __slots__ = ("group", "values")

    def __init__(self, values: LabelValues) -> None:
        self.values = values
        self.group: SeriesGroup | None = None


class StatementLabels:
    """The label values of the statements of one database.

    ``by_beginning`` has those that the beginning of the text decides, ``by_text`` the others;
    ``find`` looks them up, and adds to them. The texts in the caches of all databases together
    take no more than ``_MAX_CACHED_BYTES``.
    """

    __slots__ = (
        "_alias", "_dialect", "_labelled", "_search_path", "_tables", "by_beginning", "by_text",
    )  # fmt: skip

    def __init__(self, alias: str, dialect: Dialect, search_path: SearchPath) -> None:
        self._alias = alias
        self._dialect = dialect
        self._search_path = search_path
        self.by_beginning: dict[str, Labelled] = {}
        self.by_text: dict[str, Labelled] = {}
        self._labelled: dict[LabelValues, Labelled] = {}
        self._tables: dict[Statement, str] = {}

    def find(self, text: str, connection: BaseDatabaseWrapper) -> Labelled:
        """Return the label values of a statement, from the cache or the parser."""
        known = self.by_beginning.get(beginning(text)) or self.by_text.get(text)
        return known or self._parse(text, connection)

    def _parse(self, text: str, connection: BaseDatabaseWrapper) -> Labelled:
        statement, seen = sql.parse_beginning(text, self._dialect)
        table = self._tables.get(statement, OTHER)
        if table is OTHER:
            # The model may have been added since.
            tables = _model_tables(connection, self._dialect)
            table = tables.label(statement, self._search_path)
            if table is not OTHER:
                self._tables[statement] = table
        values = statement.operation, table, self._alias
        labelled = self._labelled.get(values) or self._labelled.setdefault(values, Labelled(values))
        start = beginning(text)
        if seen < len(start):
            _cache(self.by_beginning, start, labelled)
        else:
            _cache(self.by_text, text, labelled)
        return labelled

    def clear(self) -> None:
        """Empty the caches."""
        self.by_beginning.clear()
        self.by_text.clear()
        self._tables.clear()

    def forget_series(self) -> None:
        """Forget the series of all label values."""
        for labelled in list(self._labelled.values()):
            labelled.group = None


class Epoch:
    """The time between two changes of the settings, or of the series that there are."""


_epoch = Epoch()


def epoch() -> Epoch:
    """Return the present one, to compare it by identity."""
    return _epoch


def _forget_series() -> None:
    global _epoch
    _epoch = Epoch()
    for labels in list(_by_database.values()):
        labels.forget_series()


METRICS.on_reset(_forget_series)


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


def _cache(cache: dict[str, Labelled], text: str, labelled: Labelled) -> None:
    global _cached_bytes
    size = sys.getsizeof(text)
    if size > _MAX_CACHED_TEXT:
        return
    # Two threads may read the same sum and each add to it: until the caches are emptied, it is
    # then a little too low.
    _cached_bytes += size + _BYTES_PER_ENTRY
    if _cached_bytes > _MAX_CACHED_BYTES:
        _clear()
    cache[text] = labelled
