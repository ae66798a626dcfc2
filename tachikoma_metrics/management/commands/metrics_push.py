"""Send the metrics of this host by OTLP or to a Pushgateway, or write them to a text file."""

from __future__ import annotations

import os
import re
import signal
import threading
from argparse import SUPPRESS, ArgumentTypeError
from collections.abc import Callable
from math import inf
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tachikoma_metrics import conf
from tachikoma_metrics.checks.push import endpoint_doubts
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.push import environment
from tachikoma_metrics.push.outcomes import SUCCESS, Outcome
from tachikoma_metrics.push.turns import Pusher, Turns
from tachikoma_metrics.store import Incomplete, Lease

_OURS, _OPENTELEMETRY = "ours", "opentelemetry"
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


class Command(BaseCommand):
    """Push the values of all processes of the service on this host."""

    verbosity = 1
    help = (
        "Pushes the metrics of all processes of this service on this host: by OTLP, repeatedly "
        "until SIGTERM, or once to a Pushgateway or a text file. The exit status is 1 if that "
        "fails."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Add a subcommand for each place that metrics are sent to."""
        sinks = parser.add_subparsers(dest="sink", required=True, metavar="otlp|textfile|gateway")
        otlp = sinks.add_parser("otlp", help="Push by OTLP, as OTEL_EXPORTER_OTLP_* configure.")
        otlp.add_argument(
            "--interval",
            type=_seconds,
            metavar="SECONDS",
            help=f"Seconds between two pushes, at least {environment.SHORTEST_INTERVAL:g}. "
            "Default: the environment variable OTEL_METRIC_EXPORT_INTERVAL, in milliseconds, else "
            f"{environment.DEFAULT_INTERVAL:g} seconds.",
        )
        otlp.add_argument("--once", action="store_true", help="Push once and exit.")
        otlp.add_argument(
            "--names",
            choices=[_OURS, _OPENTELEMETRY],
            default=_OURS,
            help="Names of metrics to send; opentelemetry uses those of the stable semantic "
            'conventions where there are any, and needs "VIEWS": ["opentelemetry"].',
        )
        textfile = sinks.add_parser(
            "textfile", help="Write a file for the textfile collector of node_exporter."
        )
        textfile.add_argument("path", metavar="PATH", help="Path of the file, ending in .prom.")
        gateway = sinks.add_parser("gateway", help="Replace a group of metrics in a Pushgateway.")
        gateway.add_argument(
            "url",
            metavar="URL",
            help="URL of the Pushgateway, such as http://pushgateway:9091. Credentials are read "
            "from PUSHGATEWAY_USERNAME and PUSHGATEWAY_PASSWORD, or from PUSHGATEWAY_TOKEN.",
        )
        gateway.add_argument(
            "--job", required=True, type=_job, metavar="NAME", help="Value of the label job."
        )
        gateway.add_argument(
            "--grouping",
            action="append",
            default=[],
            type=_pair,
            metavar="KEY=VALUE",
            help="Additional label of the group, such as instance=a; may be repeated.",
        )

        for sink in (otlp, textfile, gateway):
            _add_common(sink)

    def handle(self, *args: Any, **options: Any) -> None:
        """Push; raise ``CommandError`` if it fails."""
        self.verbosity = options["verbosity"]
        if not conf.config().enabled:
            raise CommandError("ENABLED is False: nothing is measured. It must be True.")
        try:
            {"otlp": self._otlp, "textfile": self._textfile, "gateway": self._gateway}[
                options["sink"]
            ](options)
        except Incomplete as error:
            raise CommandError(f"The values of all processes cannot be read: {error}") from error

    # --- OTLP -------------------------------------------------------------------

    def _otlp(self, options: dict[str, Any]) -> None:
        interval = options["interval"] or _interval_of_environment()
        if not environment.is_installed():
            raise CommandError(
                "OTLP needs the extra otlp. Example: pip install 'tachikoma-metrics[otlp]'"
            )
        if not environment.is_url(environment.endpoint()):
            raise CommandError(
                f"{environment.shown_endpoint()!r} is no URL. {environment.ENDPOINT} must be one. "
                f"Example: {environment.ENDPOINT}=http://collector:4318"
            )
        if options["names"] == _OPENTELEMETRY and _OPENTELEMETRY not in conf.config().views:
            raise CommandError(
                "--names opentelemetry needs the labels of the conventions. Example: "
                '"VIEWS": ["opentelemetry"]'
            )
        if not conf.config().otlp:
            # Otherwise the system checks, which run before the command, have the same.
            for doubt in endpoint_doubts():
                self.stderr.write(f"{doubt.msg} {doubt.hint}")
        turns = Turns(interval, self._maker(options["names"], is_alone=options["once"]))
        if options["once"]:
            self._once(turns)
        else:
            self._repeatedly(turns, interval)

    def _maker(self, names: str, *, is_alone: bool) -> Callable[[Lease], Pusher]:
        """Return what makes the sender; a push that is alone is reported by its caller."""

        def make(lease: Lease) -> Pusher:
            from tachikoma_metrics.push.sender import Sender, opentelemetry_names

            try:
                chosen = opentelemetry_names() if names == _OPENTELEMETRY else ({}, frozenset())
                sender = Sender(lease, *chosen, is_logged=not is_alone)
            except (OSError, RuntimeError, ValueError) as error:
                pass_on(error)
                raise CommandError(f"A variable OTEL_* is invalid: {error}") from error
            return sender if is_alone else _Narrated(sender, self)

        return make

    def _once(self, turns: Turns) -> None:
        try:
            outcome = turns.push()
        finally:
            turns.close()
        if outcome is None:
            raise CommandError(
                "Another process of this host is the sender, and sends these values as well."
            )
        if outcome.name != SUCCESS:
            raise CommandError(
                f"The push to {environment.shown_endpoint()} failed ({outcome.name}): "
                f"{outcome.reason}"
            )
        self.say("Push: success.")

    def _repeatedly(self, turns: Turns, interval: float) -> None:
        is_over = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            # The second signal ends a push that waits for a receiver that hangs.
            if is_over.is_set():
                raise SystemExit(1)
            is_over.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        self.say(f"Sending to {environment.shown_endpoint()} every {interval:g} s.")
        last = turns.run(is_over, lambda: self.say("Waiting: another process of this host sends."))
        what = f"the last push: {last.name}" if last else "another process of this host sends"
        self.say(f"Ended; {what}.")

    # --- the others ---------------------------------------------------------------

    def _textfile(self, options: dict[str, Any]) -> None:
        from tachikoma_metrics.push.files import write_textfile

        path = options["path"]
        if not path.endswith(".prom"):
            self.stderr.write(f"node_exporter does not read {path}: its name must end in .prom.")
        try:
            size = write_textfile(path)
        except OSError as error:
            pass_on(error)
            reason = error.strerror or str(error)
            raise CommandError(f"{path} cannot be written: {reason}.") from error
        self.say(f"Wrote {size} bytes to {path}.")

    def _gateway(self, options: dict[str, Any]) -> None:
        from tachikoma_metrics.push.files import push_to

        url = options["url"] if "://" in options["url"] else f"http://{options['url']}"
        shown = environment.shown(url)
        if not environment.is_url(url):
            raise CommandError(f"{shown!r} is no URL. Example: http://pushgateway:9091")
        if environment.is_public_without_tls(url):
            self.stderr.write(f"{shown} is public: values and credentials are sent unencrypted.")
        try:
            push_to(url, options["job"], dict(options["grouping"]))
        except OSError as error:
            pass_on(error)
            raise CommandError(f"The push to {shown} failed: {error}") from error
        self.say(f"Pushed to {shown} as job {options['job']}.")

    def say(self, text: str) -> None:
        """Print what was done, unless ``--verbosity`` is 0."""
        if self.verbosity:
            self.stdout.write(text)
            self.stdout.flush()


class _Narrated:
    """Print each outcome of a push at verbosity 2, and those that differ from the last at 1."""

    def __init__(self, sender: Pusher, command: Command) -> None:
        self._sender = sender
        self._command = command
        self._last = ""

    def push(self) -> Outcome:
        """Send once, and print what came of it."""
        outcome = self._sender.push()
        if outcome.name != self._last or self._command.verbosity > 1:
            reason = f": {outcome.reason}" if outcome.reason else ""
            self._command.say(f"Push: {outcome.name}{reason}.")
        self._last = outcome.name
        return outcome

    def close(self) -> None:
        """Close the connection."""
        self._sender.close()


def _add_common(parser: CommandParser) -> None:
    """Let the options of all commands follow a subcommand as well."""
    for flags in (("-v", "--verbosity"), ("--settings",), ("--pythonpath",)):
        kind = int if "-v" in flags else str
        parser.add_argument(*flags, type=kind, default=SUPPRESS, help=SUPPRESS)
    for flag in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        parser.add_argument(flag, action="store_true", default=SUPPRESS, help=SUPPRESS)


def _interval_of_environment() -> float:
    seconds = environment.interval()
    if seconds is None or seconds < environment.SHORTEST_INTERVAL:
        raise CommandError(
            f"{environment.INTERVAL}={os.environ[environment.INTERVAL]!r} must be a number of "
            f"milliseconds, at least {environment.SHORTEST_INTERVAL * 1000:g}. Example: "
            f"{environment.INTERVAL}=15000"
        )
    return seconds


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not environment.SHORTEST_INTERVAL <= seconds < inf:
        raise ArgumentTypeError(
            f"must be a number of seconds, at least {environment.SHORTEST_INTERVAL:g}; got {text!r}"
        )
    return seconds


def _job(text: str) -> str:
    if not text.strip():
        raise ArgumentTypeError("must not be empty")
    return text


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not _LABEL.fullmatch(key) or key == "job":
        raise ArgumentTypeError(
            f"must be KEY=VALUE, with the name of a label other than job; got {text!r}"
        )
    return key, value
