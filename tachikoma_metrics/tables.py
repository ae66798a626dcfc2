"""Which installed model has the table that a statement names.

Tables of one name may be in several schemas or databases, and names may differ in nothing but
case. Which of them a statement means, is decided by the rules of its database, and is the same
in each process: the order of a set, which changes with ``PYTHONHASHSEED``, decides nothing.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from tachikoma_metrics import statements
from tachikoma_metrics.labels import OTHER
from tachikoma_metrics.statements import DIALECTS, STANDARD, Dialect, Statement

Facts = tuple[str, str, str]
"""Operation, table and alias."""

Name = tuple[str, ...]

_MIGRATIONS = "django_migrations"

_OF_THE_SERVER = frozenset(
    {"information_schema", "mysql", "performance_schema", "pg_catalog", "pg_toast", "sys"}
)
_DEFAULTS = frozenset({"", "dbo", "public"})

_LONGEST_REMEMBERED = 16 * 2**10
_MOST_REMEMBERED = 4 * 2**20
_BYTES_OF_AN_ENTRY = 256


# --- tables -----------------------------------------------------------------


class Home(NamedTuple):
    """Where the tables are that a statement names without a schema, as far as that is known."""

    database: str
    schemas: frozenset[str]


class _Table(NamedTuple):
    name: Name
    """Its parts, as they are compared."""
    written: str
    label: str


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
            written = statements.identifier(quote(label), dialect)
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
        if not fitting:
            return OTHER
        return min(fitting, key=lambda table: _rank(table, statement)).label

    def _keys(self, name: Name) -> Name:
        return name if self._compares_exactly else tuple(part.casefold() for part in name)

    def _is_at_home(self, name: Name, home: Home) -> bool:
        database, schema = name[-3:-2], name[-2]
        if database and home.database and database != self._keys((home.database,)):
            return False
        if home.schemas:
            return schema in self._keys(tuple(home.schemas))
        is_another = schema.casefold() in _OF_THE_SERVER or schema in self._schemas
        return schema.casefold() in _DEFAULTS or not is_another


def _fits(table: Name, name: Name) -> bool:
    """Tell whether a name in a statement may be of a table, by what both have."""
    if len(name) > 1 and len(table) == 1:
        return False
    shorter = min(len(table), len(name))
    return table[-shorter:] == name[-shorter:]


def _rank(table: _Table, statement: Statement) -> tuple[bool, int, str]:
    """Put first what is written in the same way, then what is in fewer schemas."""
    return table.written != statement.table, len(table.name), table.label


# --- statements -------------------------------------------------------------


class StatementReader:
    """Tells what the statements of one database are, and remembers it by their texts.

    ``remembered`` is looked up by the text of a statement; what is not there, ``read`` tells.
    All readers together keep no more than so many bytes of texts.
    """

    __slots__ = ("_alias", "_dialect", "_home", "remembered")

    def __init__(self, alias: str, dialect: Dialect, home: Home) -> None:
        self._alias = alias
        self._dialect = dialect
        self._home = home
        self.remembered: dict[str, Facts] = {}

    def read(self, text: str, connection: BaseDatabaseWrapper) -> Facts:
        """Return the operation, the table and the alias of a statement."""
        statement = statements.read(text, self._dialect)
        tables = _tables_of(connection, self._dialect)
        facts = statement.operation, tables.label(statement, self._home), self._alias
        _remember(self, text, facts)
        return facts


def reader_of(connection: BaseDatabaseWrapper) -> StatementReader:
    """Return what reads the statements of a connection, and of others to the same database."""
    return _reader(connection.alias, _dialect_of(connection), _home_of(connection))


_readers: dict[tuple[str, Dialect, Home], StatementReader] = {}


def _reader(alias: str, dialect: Dialect, home: Home) -> StatementReader:
    key = alias, dialect, home
    return _readers.get(key) or _readers.setdefault(key, StatementReader(*key))


def _dialect_of(connection: BaseDatabaseWrapper) -> Dialect:
    # Engines that are made of one of Django's have a vendor of their own at times.
    vendors = (str(vars(one).get("vendor")) for one in type(connection).__mro__)
    return next((DIALECTS[vendor] for vendor in vendors if vendor in DIALECTS), STANDARD)


def _home_of(connection: BaseDatabaseWrapper) -> Home:
    settings = connection.settings_dict
    database, user = (str(settings.get(name) or "") for name in ("NAME", "USER"))
    schemas = {
        "mysql": {database},
        "oracle": {user.upper()},
        "sqlite": {"main", "temp"},
    }.get(connection.vendor, set())
    return Home(database, frozenset(schemas - {""}))


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
    return tables


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
        for one in list(_readers.values()):
            one.remembered.clear()
        _remembered_bytes = 0
    reader.remembered[text] = facts
