"""Scripts, each of which is a service of its own, run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

from tests import starter

_OPTIONS = ("-W", "ignore::DeprecationWarning")

PRELUDE = """
import gc, os, signal, sys, threading, time
import prometheus_client
from prometheus_client import Counter, Gauge, Histogram, Summary
{before}
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["tachikoma_metrics"],
    TACHIKOMA_METRICS={{"STORE_DIR": os.environ["STORE"], **{more}}},
)
django.setup()
from tachikoma_metrics import METRICS, record_db_query, record_file_change
from tachikoma_metrics.testing import sample_value, samples

def in_child(call, *arguments, live=False):
    '''Call in a forked child; return its pid when it is over, or when it waits to be killed.'''
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            call(*arguments)
            os.write(writing, b"done")
            if live:
                time.sleep(60)
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 4) == b"done"
    os.close(reading)
    if not live:
        os.waitpid(pid, 0)
    return pid

def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

def lock_directory():
    '''Lock the directory as a process that claims a slot does; return what unlocks it.'''
    import fcntl
    descriptor = os.open(os.path.join(os.environ["STORE"], "lock"), os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return lambda: fcntl.flock(descriptor, fcntl.LOCK_UN)

def slots():
    return sorted(name for name in os.listdir(os.environ["STORE"]) if name.startswith("slot-"))
"""

FAULT = """
import logging
records = []
handler = logging.Handler()
handler.emit = records.append
logging.getLogger("tachikoma_metrics").addHandler(handler)
logging.getLogger("tachikoma_metrics").propagate = False
"""
"""What goes before a script that keeps what is logged."""


def start(
    script: str, directory: Path, *, before: str = "", **more: object
) -> subprocess.Popen[str]:
    """Start a service of one script; ``before`` is run before Django is set up."""
    text = PRELUDE.format(before=before, more=more) + textwrap.dedent(script)
    return starter.start(
        text, environment={**os.environ, "STORE": str(directory)}, options=_OPTIONS
    )


def run(script: str, directory: Path, *, before: str = "", **more: object) -> str:
    """Run a script to its end, which has to be a quiet one; return what it printed."""
    process = start(script, directory, before=before, **more)
    try:
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert errors == ""
    assert process.returncode == 0
    return output
