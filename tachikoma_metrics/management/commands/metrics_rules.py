"""Write recording and alerting rules for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management import get_commands
from django.core.management.base import CommandError, CommandParser

from tachikoma_metrics import conf, monitoring
from tachikoma_metrics.catalogue.views import VIEWS
from tachikoma_metrics.management.writing import WritingCommand
from tachikoma_metrics.monitoring.alerts import Severity
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.rule_file import RUNBOOKS


class Command(WritingCommand):
    """Write rules that match the settings."""

    part, parts = "rule", "rules"
    help = (
        "Writes recording and alerting rules for Prometheus, as YAML, that match the settings: "
        "their namespace, labels and business metrics. Name the file in `rule_files`. With "
        "--views, writes only the rules that record the metrics of a view."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the objectives, and what the rules are to be about and to name."""
        super().add_arguments(parser)
        usual = Objectives()
        self.add_objectives(parser)
        parser.add_argument(
            "--connections",
            type=int,
            default=usual.connections,
            metavar="NUMBER",
            help="Alert above this number of open database connections.",
        )
        parser.add_argument(
            "--queue-wait",
            type=float,
            default=usual.queue_wait,
            metavar="SECONDS",
            help="Alert if tasks wait longer than this in their queue, rounded up to the next "
            "bucket, or down to the highest.",
        )
        parser.add_argument(
            "--command",
            action="append",
            dest="succeeding",
            metavar="NAME=SECONDS",
            help="Alert if this management command has not succeeded for SECONDS; may be repeated. "
            "`COMMANDS` must include it.",
        )
        parser.add_argument(
            "--job",
            default="",
            help="Restrict the rules to this job, a `job_name` of prometheus.yml. By default, they "
            "apply to all jobs.",
        )
        parser.add_argument(
            "--runbooks", default=RUNBOOKS, metavar="URL", help="URL of the runbooks of the alerts."
        )
        parser.add_argument(
            "--dashboard",
            default="",
            metavar="URL",
            help="URL of the dashboard in Grafana: alerts then have the annotation "
            "`dashboard_url`, with the job selected.",
        )
        parser.add_argument(
            "--severities",
            default="page,ticket",
            metavar="PAGE,TICKET",
            help="Names of the two severities, such as `critical,warning`: that of alerts that "
            "users notice, and that of alerts that can wait.",
        )
        self.add_native(parser)
        parser.add_argument(
            "--views",
            action="append",
            metavar="NAME",
            help="Write recording rules for the metrics of this view instead, under the names "
            f"of another package: {' or '.join(VIEWS)}. Several are separated by commas. They "
            "take the place of the setting `VIEWS`.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the rules; raise ``CommandError`` for an invalid objective or view."""
        if options["views"] and options["native"]:
            raise CommandError(
                "--views cannot be combined with --native: the metrics of a view have classic "
                "buckets, which only classic buckets can be made of."
            )
        if options["views"]:
            self._write_views(list(_views(options["views"])), options)
        else:
            self._write_rules(options)

    def _write_views(self, views: list[str], options: dict[str, Any]) -> None:
        made, left_out = monitoring.view_rule_file(conf.config(), views, job=options["job"])
        self.write(monitoring.as_yaml(made), left_out, options)
        if options["verbosity"]:
            self._note_job(options["job"])

    def _write_rules(self, options: dict[str, Any]) -> None:
        try:
            objectives = Objectives(
                options["objective"],
                options["slow_after"],
                options["connections"],
                options["queue_wait"],
                dict(map(_command, options["succeeding"] or ())),
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        made, left_out = monitoring.rule_file(
            conf.config(),
            objectives,
            job=options["job"],
            runbooks=options["runbooks"],
            dashboard_url=options["dashboard"],
            severities=_severities(options["severities"]),
            is_native=options["native"],
        )
        self.write(monitoring.as_yaml(made), left_out, options)
        self.note_native(options)
        if options["verbosity"]:
            self.note_slow_bound(objectives, options)
            self._note_job(options["job"])

    def _note_job(self, job: str) -> None:
        if job:
            self.note(
                f"The rules apply to job={job!r} only, which must be a `job_name` of "
                "prometheus.yml: otherwise they never fire."
            )


def _views(options: Iterable[str]) -> Iterator[str]:
    """Yield the names of views; raise ``CommandError`` for one that no rules can record."""
    for name in filter(None, (part.strip() for one in options for part in one.split(","))):
        if name not in VIEWS:
            raise CommandError(f"--views: {conf.did_you_mean(name, VIEWS)}")
        if name in conf.config().views:
            raise CommandError(
                f"VIEWS has {name!r}: the metrics endpoint exposes these metrics already, and "
                "rules would record them twice. Use only one of both."
            )
        yield name


def _severities(option: str) -> dict[Severity, str]:
    """Return the names of the severities; raise ``CommandError`` unless there are two."""
    page, *others = [name.strip() for name in option.split(",")]
    if len(others) != 1 or not page or not others[0]:
        raise CommandError(
            f"--severities should be two names, such as critical,warning; got {option!r}."
        )
    return {"page": page, "ticket": others[0]}


def _command(option: str) -> tuple[str, float]:
    """Return a command and its seconds; raise ``ValueError`` for one that is not measured."""
    name, _, seconds = option.partition("=")
    try:
        limit = float(seconds)
    except ValueError:
        raise ValueError(f"--command should be like clearsessions=90000; got {option}.") from None
    if name not in get_commands():
        raise ValueError(f"--command should name a command of this project; got {name}.")
    if not conf.config().measures_command(name):
        raise ValueError(f"`COMMANDS` does not name {name!r}, so it is not measured.")
    return name, limit
