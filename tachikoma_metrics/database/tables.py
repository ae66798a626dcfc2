"""Which installed model has the table that a statement names.

Tables of one name may be in several schemas or databases, and names may differ in nothing but
case. Which of them a statement means, is decided by the rules of its database, and is the same
in each process: the order of a set, which changes with ``PYTHONHASHSEED``, decides nothing.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from tachikoma_metrics.catalogue.labels import OTHER
from tachikoma_metrics.database import sql
from tachikoma_metrics.database.sql import DIALECTS, STANDARD, Dialect, Statement

Facts = tuple[str, str, str]
"""Operation, table and alias."""

Name = tuple[str, ...]

_MIGRATIONS = "django_migrations"

_OF_THE_SERVER = frozenset(
    {"information_schema", "mysql", "performance_schema", "pg_catalog", "pg_toast", "sys"}
)

_LONGEST_REMEMBERED = 16 * 2**10
_MOST_REMEMBERED = 4 * 2**20
_BYTES_OF_AN_ENTRY = 256


# --- tables -----------------------------------------------------------------


class Home(NamedTuple):
    """Where the database looks for a table that a statement names without a schema."""

    database: str
    schemas: tuple[str, ...]
    """In this order; empty if that is not known."""
    is_complete: bool = False
    """Whether it looks nowhere else, whatever the session says."""


class _Table(NamedTuple):
    name: Name
    """Its parts, as they are compared."""
    written: str
    label: str

    @property
    def schema(self) -> str:
        """The one that it is in, or the database in MySQL; empty if it names none."""
        return self.name[-2] if len(self.name) > 1 else ""


class Tables:
    """The tables of models, by their names."""

    def __init__(
        self, labels: Iterable[str], quote: Callable[[str], str], dialect: Dialect
    ) -> None:
        self._compares_exactly = dialect.compares_exactly
        self._tables: dict[str, list[_Table]] = defaultdict(list)
        self._schemas: set[str] = set()
        for label in sorted(set(labels)):
            # As Django writes it into statements: a table of another schema has quotes inside.
            written = sql.identifier(quote(label), dialect)
            if written:
                name = self._keys(written)
                self._tables[name[-1]].append(_Table(name, written[-1], label))
                self._schemas.update(name[-2:-1])

    def label(self, statement: Statement, home: Home) -> str:
        """Return the table of a model that ``statement`` names, or else ``other``."""
        name = self._keys((*statement.within, statement.table))
        tables = self._tables.get(name[-1], ())
        fitting = [table for table in tables if _fits(table.name, name)]
        if len(name) > 1 and not fitting and self._is_at_home(name, home):
            fitting = [table for table in tables if len(table.name) == 1]
        if len(name) == 1 and home.is_complete:
            fitting = [table for table in fitting if table.schema in self._path(home)]
        if not fitting:
            return OTHER
        return min(fitting, key=lambda table: self._rank(table, statement, home)).label

    def _rank(self, table: _Table, statement: Statement, home: Home) -> tuple[int, bool, str]:
        """Put first what the database finds first, then what is written in the same way."""
        path = self._path(home)
        place = path.index(table.schema) if table.schema in path else len(path)
        return place, table.written != statement.table, table.label

    def _keys(self, name: Name) -> Name:
        return name if self._compares_exactly else tuple(part.casefold() for part in name)

    def _path(self, home: Home) -> Name:
        return "", *self._keys(home.schemas)

    def _is_at_home(self, name: Name, home: Home) -> bool:
        database, schema = name[-3:-2], name[-2]
        if database and home.database and database != self._keys((home.database,)):
            return False
        if home.schemas:
            return schema in self._path(home)
        return not (schema.casefold() in _OF_THE_SERVER or schema in self._schemas)


def _fits(table: Name, name: Name) -> bool:
    """Tell whether a name in a statement may be of a table, by what both have."""
    if len(name) > 1 and len(table) == 1:
        return False
    shorter = min(len(table), len(name))
    return table[-shorter:] == name[-shorter:]


# --- statements -------------------------------------------------------------


class StatementReader:
    """Tells what the statements of one database are, and remembers it by their texts.

    ``remembered`` is looked up by the text of a statement; what is not there, ``read`` tells.
    All readers together keep no more than so many bytes of texts.
    """

    __slots__ = ("_alias", "_dialect", "_home", "_labels", "remembered")

    def __init__(self, alias: str, dialect: Dialect, home: Home) -> None:
        self._alias = alias
        self._dialect = dialect
        self._home = home
        self.remembered: dict[str, Facts] = {}
        self._labels: dict[Statement, str] = {}

    def read(self, text: str, connection: BaseDatabaseWrapper) -> Facts:
        """Return the operation, the table and the alias of a statement."""
        statement = sql.read(text, self._dialect)
        label = self._labels.get(statement, OTHER)
        if label is OTHER:
            # Perhaps of a model that is new.
            tables = _tables_of(connection, self._dialect)
            label = tables.label(statement, self._home)
            if label is not OTHER:
                self._labels[statement] = label
        facts = statement.operation, label, self._alias
        _remember(self, text, facts)
        return facts

    def forget(self) -> None:
        """Read all statements anew."""
        self.remembered.clear()
        self._labels.clear()


def reader_of(connection: BaseDatabaseWrapper) -> StatementReader:
    """Return what reads the statements of a connection, and of others to the same database."""
    vendor = _vendor_of(type(connection))
    return _reader(connection.alias, DIALECTS.get(vendor, STANDARD), _home_of(connection, vendor))


_readers: dict[tuple[str, Dialect, Home], StatementReader] = {}


def _reader(alias: str, dialect: Dialect, home: Home) -> StatementReader:
    key = alias, dialect, home
    return _readers.get(key) or _readers.setdefault(key, StatementReader(*key))


_vendors: dict[type[BaseDatabaseWrapper], str] = {}


def _vendor_of(engine: type[BaseDatabaseWrapper]) -> str:
    if engine not in _vendors:
        # Engines that are made of one of Django's have a vendor of their own at times.
        vendors = (str(vars(one).get("vendor")) for one in engine.__mro__)
        _vendors[engine] = next((vendor for vendor in vendors if vendor in DIALECTS), "")
    return _vendors[engine]


def _home_of(connection: BaseDatabaseWrapper, vendor: str) -> Home:
    settings = connection.settings_dict
    database, user = (str(settings.get(name) or "") for name in ("NAME", "USER"))
    if vendor == "postgresql":
        return Home(database, _search_path(connection, user))
    schemas = {
        "microsoft": ("dbo",),
        "mysql": (database,),
        "oracle": (user.upper(),),
        "sqlite": ("temp", "main"),
    }.get(vendor, ())
    return Home(database, tuple(filter(None, schemas)), is_complete=vendor == "mysql")


def _search_path(connection: BaseDatabaseWrapper, user: str) -> tuple[str, ...]:
    if hasattr(connection, "schema_name"):
        # django-tenants sets another one for each tenant.
        return ()
    options = str((connection.settings_dict.get("OPTIONS") or {}).get("options") or "")
    found = _SEARCH_PATH.search(options)
    path = found[1].split(",") if found else []
    return (*(schema.strip("\"' ") for schema in path), user, "public")


_SEARCH_PATH = re.compile(r"search_path\s*=\s*((?:[^\s,]+,\s*)*[^\s,]+)")


_tables: dict[type[object], tuple[object, Tables]] = {}


def _tables_of(connection: BaseDatabaseWrapper, dialect: Dialect) -> Tables:
    # The same list, as long as no model is added.
    models = apps.get_models(include_auto_created=True)
    operations = connection.ops
    known = _tables.get(type(operations))
    if known is not None and known[0] is models:
        return known[1]
    labels = [_MIGRATIONS, *(model._meta.db_table for model in models)]
    tables = Tables(labels, operations.quote_name, dialect)
    _tables[type(operations)] = models, tables
    # What was read before was read without the new models.
    _forget()
    return tables


_remembered_bytes = 0


def _forget() -> None:
    global _remembered_bytes
    for reader in list(_readers.values()):
        reader.forget()
    _remembered_bytes = 0


def _remember(reader: StatementReader, text: str, facts: Facts) -> None:
    global _remembered_bytes
    size = sys.getsizeof(text)
    if size > _LONGEST_REMEMBERED:
        return
    # Threads that come at the same time may each add to the same sum; then it is a little
    # too low until all is forgotten.
    _remembered_bytes += size + _BYTES_OF_AN_ENTRY
    if _remembered_bytes > _MOST_REMEMBERED:
        _forget()
    reader.remembered[text] = facts
