"""The queries of pages: many different statements, with other work between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any

from django.db import connections
from django.db.models import Count, Max, Model, Q
from django.template import Context, Engine

_DEVICES = 12
_PORTS_OF_A_DEVICE = 3
_MOST_LISTED = 40

Page = Callable[[str, Random], Iterator[object]]
"""Yields after each statement that it makes on the database of an alias."""


@contextmanager
def tables(*aliases: str) -> Iterator[None]:
    """Create the tables of the pages, with their rows, and delete them after the block."""
    from benchmarks.project.models import Device, Mission, Port, Site

    models = (Mission, Site, Device, Port)
    with ExitStack() as created:
        for alias in aliases:
            connection = connections[alias]
            kept = connection.introspection.table_names()
            with connection.schema_editor() as editor:
                for model in models:
                    if model._meta.db_table not in kept:
                        editor.create_model(model)
                        created.callback(_delete_table, alias, model)
            _create_rows(alias)
        yield


def _delete_table(alias: str, model: type[Model]) -> None:
    with connections[alias].schema_editor() as editor:
        editor.delete_model(model)


def _create_rows(alias: str) -> None:
    from benchmarks.project.models import Device, Mission, Port, Site

    mission = Mission.objects.using(alias).create(title="Find the puppet master")
    site = Site.objects.using(alias).create(name="Section 9")
    devices = Device.objects.using(alias).bulk_create(
        Device(name=f"device {number}", site=site, mission=mission, position=number)
        for number in range(_DEVICES)
    )
    Port.objects.using(alias).bulk_create(
        Port(name=f"port {number}", device=device)
        for device in devices
        for number in range(_PORTS_OF_A_DEVICE)
    )


# --- pages ------------------------------------------------------------------


def _list(alias: str, random: Random) -> Iterator[object]:
    """List a part of a table that is filtered, with what its rows refer to."""
    from benchmarks.project.models import Device, Port, Site

    devices = Device.objects.using(alias).select_related("site", "mission").order_by("name")
    yield devices.count()
    start = random.randrange(_DEVICES // 2)
    yield list(devices[start : start + random.randint(2, 6)])
    shown = random.randint(2, _MOST_LISTED)
    listed = random.sample(range(1000), shown)
    yield list(Port.objects.using(alias).filter(device__in=listed))
    counted = Port.objects.using(alias).filter(device__in=listed).values("device")
    yield list(counted.annotate(n=Count("id")))
    yield list(Site.objects.using(alias).filter(device__in=listed).distinct())
    yield list(devices.filter(Q(name__icontains="1") | Q(site__name__startswith="S"))[:shown])
    yield Site.objects.using(alias).aggregate(Count("device"), Max("name"))
    yield Device.objects.using(alias).filter(position__gt=shown).exists()


def _detail(alias: str, random: Random) -> Iterator[object]:
    """Show a row with all that belongs to it."""
    from benchmarks.project.models import Device, Mission, Port, Site

    devices = Device.objects.using(alias)
    device = devices.order_by("pk")[random.randrange(_DEVICES)]
    yield device
    yield devices.select_related("site", "mission").get(pk=device.pk)
    yield Site.objects.using(alias).get(device=device)
    yield Mission.objects.using(alias).filter(device=device).first()
    yield list(Port.objects.using(alias).filter(device=device, is_enabled=True).order_by("name"))
    yield list(devices.filter(site__device=device).exclude(pk=device.pk).values_list("id", "name"))
    yield list(devices.annotate(ports=Count("port")).filter(ports__gt=0).order_by("-ports")[:5])
    yield list(devices.filter(mission__title__contains="pupp").only("name", "site__name")[:5])


def _change(alias: str, random: Random) -> Iterator[object]:
    """Change rows, as a form and an import do."""
    from benchmarks.project.models import Device, Port

    number = random.randint(2, _MOST_LISTED)
    device = Device.objects.using(alias).earliest("position")
    yield device
    device.save(using=alias, update_fields=["name", "position"])
    yield None
    device.save(using=alias, force_update=True)
    yield None
    ports = [Port(name=f"import {place}", device=device) for place in range(number)]
    yield Port.objects.using(alias).bulk_create(ports)
    imported = Port.objects.using(alias).filter(name__startswith="import")
    keys = list(imported.values_list("pk", flat=True))
    yield keys
    yield imported.update(is_enabled=False)
    yield Port.objects.using(alias).filter(pk__in=keys).order_by()._raw_delete(alias)
    with connections[alias].cursor() as cursor:
        yield cursor.execute("SELECT name, count(*) FROM project_site GROUP BY name")


PAGES: tuple[Page, ...] = (_list, _detail, _change)


def steps(alias: str, turn: int) -> Iterator[float]:
    """Make the statements of all pages, and yield the CPU seconds of executing each.

    The statements of each turn differ in their lists and numbers.
    """
    random = Random(turn)  # noqa: S311  # No secret.
    connection: Any = connections[alias]
    clock = _Clock()
    open_cursor = connection.cursor
    connection.cursor = lambda: _TimedCursor(open_cursor, clock)
    try:
        for page in PAGES:
            for _ in page(alias, random):
                yield clock.seconds
                clock.seconds = 0.0
    finally:
        del connection.cursor


class _Clock:
    seconds = 0.0


class _TimedCursor:
    """Opens a cursor of Django and executes with it, and notes the CPU seconds of both.

    To make a statement and to read its rows takes many times as long, and differs more from one
    time to the next than metrics cost.
    """

    def __init__(self, open_cursor: Callable[[], Any], clock: _Clock) -> None:
        self._clock = clock
        self._cursor = self._timed(open_cursor)

    def execute(self, *arguments: object) -> object:
        return self._timed(self._cursor.execute, *arguments)

    def _timed(self, call: Callable[..., Any], *arguments: object) -> Any:
        started_at = time.process_time()
        try:
            return call(*arguments)
        finally:
            self._clock.seconds += time.process_time() - started_at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cursor)

    def __enter__(self) -> _TimedCursor:
        return self

    def __exit__(self, *error: object) -> None:
        self._cursor.__exit__(*error)


def statements_of_a_turn(alias: str) -> int:
    """Return how many statements each turn makes."""
    made = []

    def note(execute: Callable[..., object], sql: str, *arguments: object) -> object:
        made.append(sql)
        return execute(sql, *arguments)

    with connections[alias].execute_wrapper(note):
        for _ in steps(alias, 0):
            pass
    return len(made)


# --- other work -------------------------------------------------------------

_TEMPLATE = Engine().from_string(
    '{% for row in rows %}<tr class=\'{% cycle "odd" "even" %}\'>'
    "<td>{{ row.name|title }}</td><td>{{ row.position }}</td>"
    "{% if row.site_id %}<td>{{ row.site_id }}</td>{% endif %}</tr>{% endfor %}"
)


class OtherWork:
    """What a page does between two queries, which replaces what is in the CPU's caches."""

    def __init__(self) -> None:
        self._values = {f"key {number}": [number] for number in range(200_000)}
        self._keys = list(self._values)
        Random(0).shuffle(self._keys)  # noqa: S311  # No secret.
        self._at = 0

    def __call__(self) -> int:
        """Render rows, and read values from all over the memory."""
        from benchmarks.project.models import Device

        rows = [Device(pk=number, name=f"device {number}", site_id=1) for number in range(3)]
        rendered = _TEMPLATE.render(Context({"rows": rows}))
        self._at = (self._at + 2000) % (len(self._keys) - 2000)
        keys = self._keys[self._at : self._at + 2000]
        return len(rendered) + sum(self._values[key][0] for key in keys)
