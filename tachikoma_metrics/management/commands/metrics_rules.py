"""Write recording and alerting rules for Prometheus."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from tachikoma_metrics import conf, monitoring
from tachikoma_metrics.management.writing import WritingCommand
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.rule_file import RUNBOOKS


class Command(WritingCommand):
    """Write rules about what the settings have measured, in their names."""

    part, parts = "rule", "rules"
    help = (
        "Writes a file of recording and alerting rules for Prometheus, as YAML, about what the "
        "settings have measured: with their namespace, labels and business counts. Name it in "
        "`rule_files`."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the objectives, ``--job``, ``--runbooks`` and ``--output``."""
        super().add_arguments(parser)
        usual = Objectives()
        parser.add_argument(
            "--objective",
            type=float,
            default=usual.availability,
            metavar="PERCENT",
            help="Requests that are not to fail in thirty days.",
        )
        parser.add_argument(
            "--slow-after",
            type=float,
            default=usual.slow_after,
            metavar="SECONDS",
            help="When a request is slow; the next bucket at or above counts, else the highest.",
        )
        parser.add_argument(
            "--connections",
            type=int,
            default=usual.connections,
            metavar="NUMBER",
            help="Database connections of a service that are too many.",
        )
        parser.add_argument(
            "--queue-wait",
            type=float,
            default=usual.queue_wait,
            metavar="SECONDS",
            help="Time that a task may wait in its queue; the next bucket at or above counts, else "
            "the highest.",
        )
        parser.add_argument(
            "--command",
            action="append",
            dest="succeeding",
            metavar="NAME=SECONDS",
            help="Alert if this management command did not succeed for so long; may be repeated. "
            "`COMMANDS` has to name it.",
        )
        parser.add_argument(
            "--job",
            default="",
            help="Restrict the rules to this job: a `job_name` of the configuration of Prometheus. "
            "All jobs unless given.",
        )
        parser.add_argument(
            "--runbooks", default=RUNBOOKS, metavar="URL", help="Where the runbook of alerts is."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the rules; raise ``CommandError`` for an objective that makes no sense."""
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
            conf.config(), objectives, job=options["job"], runbooks=options["runbooks"]
        )
        self.write(monitoring.as_yaml(made), left_out, options)
        if options["verbosity"]:
            self._note_what_is_assumed(objectives, options["job"])

    def _note_what_is_assumed(self, objectives: Objectives, job: str) -> None:
        bound = monitoring.slow_bound(conf.config(), objectives)
        if bound != objectives.slow_after:
            which = "the highest" if bound < objectives.slow_after else "the next"
            self.note(
                f"Warning: --slow-after {objectives.slow_after:g} is not the bound of a bucket. "
                f"The alert is about requests of more than {bound:g} s, {which} bound that there "
                f"is: add {objectives.slow_after:g} to `LATENCY_BUCKETS` to have it exact."
            )
        if job:
            self.note(
                f"The rules are about job={job!r} alone, which has to be a `job_name` of the "
                "configuration of Prometheus: for any other they stay silent."
            )


def _command(option: str) -> tuple[str, float]:
    """Return a command and its seconds; raise ``ValueError`` for one that is not measured."""
    name, _, seconds = option.partition("=")
    try:
        limit = float(seconds)
    except ValueError:
        raise ValueError(f"--command should be like clearsessions=90000; got {option}.") from None
    if not conf.config().measures_command(name):
        raise ValueError(f"`COMMANDS` does not name {name!r}, so it is not measured.")
    return name, limit
