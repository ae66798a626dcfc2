"""The tables of installed models, and which of them a statement names.

Several schemas or databases may have a table of the same name, and names may differ in case
only. The rules of the database decide which table a statement means, so that every process
labels it alike: the order of a set, which depends on ``PYTHONHASHSEED``, decides nothing.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from django.db.backends.base.base import BaseDatabaseWrapper

from tachikoma_metrics.catalogue.labels import OTHER
from tachikoma_metrics.database import sql
from tachikoma_metrics.database.sql import Dialect, Statement

Name = tuple[str, ...]

_SYSTEM_SCHEMAS = frozenset(
    {"information_schema", "mysql", "performance_schema", "pg_catalog", "pg_toast", "sys"}
)


class SearchPath(NamedTuple):
    """The schemas in which the database looks up a table that is named without one."""

    database: str
    schemas: tuple[str, ...]
    """In the order of the lookup; empty if they are not known."""
    is_exhaustive: bool = False
    """Whether the session cannot add other schemas."""


class _Table(NamedTuple):
    key: Name
    """The parts of its name, in the form in which they are compared."""
    written: str
    label: str

    @property
    def schema(self) -> str:
        """The schema, or the database in MySQL; empty for a name without one."""
        return self.key[-2] if len(self.key) > 1 else ""


class ModelTables:
    """The tables of models, looked up by the names in statements."""

    def __init__(
        self, labels: Iterable[str], quote: Callable[[str], str], dialect: Dialect
    ) -> None:
        self._is_case_sensitive = dialect.is_case_sensitive
        self._tables: dict[str, list[_Table]] = defaultdict(list)
        self._schemas: set[str] = set()
        for label in sorted(set(labels)):
            # Quoted as in Django's statements: a table of another schema has quotes inside.
            name = sql.parse_identifier(quote(label), dialect)
            if name:
                key = self._key(name)
                self._tables[key[-1]].append(_Table(key, name[-1], label))
                self._schemas.update(key[-2:-1])

    def label(self, statement: Statement, search_path: SearchPath) -> str:
        """Return the table of a model that ``statement`` names, or else ``other``."""
        key = self._key((*statement.qualifiers, statement.table))
        tables = self._tables.get(key[-1], ())
        candidates = [table for table in tables if _matches(table.key, key)]
        if len(key) > 1 and not candidates and self._is_on_path(key, search_path):
            candidates = [table for table in tables if len(table.key) == 1]
        if len(key) == 1 and search_path.is_exhaustive:
            schemas = self._schemas_of(search_path)
            candidates = [table for table in candidates if table.schema in schemas]
        if not candidates:
            return OTHER
        return min(candidates, key=lambda table: self._rank(table, statement, search_path)).label

    def _rank(
        self, table: _Table, statement: Statement, search_path: SearchPath
    ) -> tuple[int, bool, str]:
        """Rank by the order of the lookup first, then prefer the same spelling."""
        schemas = self._schemas_of(search_path)
        place = schemas.index(table.schema) if table.schema in schemas else len(schemas)
        return place, table.written != statement.table, table.label

    def _key(self, name: Name) -> Name:
        return name if self._is_case_sensitive else tuple(part.casefold() for part in name)

    def _schemas_of(self, search_path: SearchPath) -> Name:
        return "", *self._key(search_path.schemas)

    def _is_on_path(self, key: Name, search_path: SearchPath) -> bool:
        """Return whether an unqualified name could mean the schema that ``key`` names."""
        database, schema = key[-3:-2], key[-2]
        if database and search_path.database and database != self._key((search_path.database,)):
            return False
        if search_path.schemas:
            return schema in self._schemas_of(search_path)
        return not (schema.casefold() in _SYSTEM_SCHEMAS or schema in self._schemas)


def _matches(table: Name, key: Name) -> bool:
    """Return whether ``key`` may name a table, as far as both have the same parts."""
    if len(key) > 1 and len(table) == 1:
        return False
    shorter = min(len(table), len(key))
    return table[-shorter:] == key[-shorter:]


def search_path_of(connection: BaseDatabaseWrapper, vendor: str) -> SearchPath:
    """Return where the database of a connection looks up unqualified names."""
    settings = connection.settings_dict
    database, user = (str(settings.get(name) or "") for name in ("NAME", "USER"))
    if vendor == "postgresql":
        return SearchPath(database, _schemas_of_postgresql(connection, user))
    schemas = {
        "microsoft": ("dbo",),
        "mysql": (database,),
        "oracle": (user.upper(),),
        "sqlite": ("temp", "main"),
    }.get(vendor, ())
    return SearchPath(database, tuple(filter(None, schemas)), is_exhaustive=vendor == "mysql")


_SEARCH_PATH_OPTION = re.compile(r"search_path\s*=\s*((?:[^\s,]+,\s*)*[^\s,]+)")


def _schemas_of_postgresql(connection: BaseDatabaseWrapper, user: str) -> tuple[str, ...]:
    if hasattr(connection, "schema_name"):
        # django-tenants sets another search path for each tenant.
        return ()
    options = str((connection.settings_dict.get("OPTIONS") or {}).get("options") or "")
    found = _SEARCH_PATH_OPTION.search(options)
    path = found[1].split(",") if found else []
    return (*(schema.strip("\"' ") for schema in path), user, "public")
