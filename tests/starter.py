"""Start Python processes that have Django imported already, as forks of one that did that.

To import Django and prometheus_client takes most of the time that a short script takes. What is
forked is otherwise like a process of its own: it has its own arguments, environment and files,
nothing of the package is imported, and its parent is the one that asked for it, of which it is
no fork. So the package takes it for a program that somebody started.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_BECOME_PARENT_OF_ORPHANS = 36
"""https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html"""

_ROOT = Path(__file__).resolve().parent.parent
_MOST_BYTES = 1 << 17

_STARTER = f"""
import gc, json, os, socket, sys, time, types

# What the package imports, and the modules that Django imports with the first settings.
import asyncio, ast, ctypes, difflib, http.client, logging.config, multiprocessing, runpy, tempfile
import prometheus_client, prometheus_client.openmetrics.exposition
import django.conf.urls.i18n, django.core.cache.backends.locmem, django.core.cache.backends.redis
import django.core.handlers.asgi, django.core.management, django.db.models, django.urls
import django.db.backends.dummy.base, django.contrib.auth.decorators, django.shortcuts
import django.utils.log, django.views.debug, prometheus_client.parser

assert not django.conf.settings.configured
assert not any(name.startswith("tachikoma_metrics") for name in sys.modules)

gc.freeze()
link = socket.socket(fileno=int(sys.argv.pop()))
while True:
    message, descriptors, _, _ = socket.recv_fds(link, {_MOST_BYTES}, 3)
    if not message:
        sys.exit()
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        for descriptor in descriptors:
            os.close(descriptor)
        continue
    between = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == between:
        time.sleep(0.0002)
    break

link.send(str(os.getpid()).encode())
link.close()
for standard, descriptor in enumerate(descriptors):
    os.dup2(descriptor, standard)
    os.close(descriptor)
asked = json.loads(message)
os.environ.clear()
os.environ.update(asked["environment"])
sys.argv += asked["arguments"]
sys.path[1:1] = asked["paths"]
os.chdir(asked["directory"])
sys.modules["__main__"] = types.ModuleType("__main__")
exec(compile(asked["code"], "<string>", "exec"), vars(sys.modules["__main__"]))
"""


def start(
    code: str,
    *arguments: str,
    environment: Mapping[str, str],
    options: tuple[str, ...],
    directory: Path = _ROOT,
    paths: tuple[str, ...] = (),
) -> subprocess.Popen[str]:
    """Start a process that runs ``code``, with pipes for its input, output and errors.

    ``options`` are those of Python, ``paths`` are where it looks for modules first.
    """
    if sys.platform != "linux":
        return subprocess.Popen(
            [sys.executable, *options, "-c", code, *arguments],
            cwd=directory,
            env={**environment, "PYTHONPATH": os.pathsep.join([*paths, str(_ROOT)])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    asked = {
        "code": code,
        "arguments": arguments,
        "environment": dict(environment),
        "directory": str(directory),
        "paths": paths,
    }
    return _Forked(_link(*options), json.dumps(asked))


class _Forked(subprocess.Popen[str]):
    """A process that the starter makes by a fork, where others are made by ``exec``."""

    def __init__(self, link: socket.socket, asked: str) -> None:
        self._link = link
        pipe = subprocess.PIPE
        super().__init__([asked], stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def _execute_child(self, args: list[str], *others: Any) -> None:
        # As in every version: the ends of the pipes of standard input, output and errors.
        theirs_in, _, _, theirs_out, _, theirs_err = others[9:15]
        descriptors = [theirs_in, theirs_out, theirs_err]
        message = args[0].encode()
        assert len(message) < _MOST_BYTES
        _adopt_orphans(True)
        try:
            socket.send_fds(self._link, [message], descriptors)
            self.pid = int(self._link.recv(20))
        finally:
            # Other orphans are for init, which waits for them: here they would stay as zombies.
            _adopt_orphans(False)
            for descriptor in descriptors:
                os.close(descriptor)
        self._child_created = True


def _adopt_orphans(is_wanted: bool) -> None:
    assert ctypes.CDLL(None).prctl(_BECOME_PARENT_OF_ORPHANS, int(is_wanted), 0, 0, 0) == 0


@functools.cache
def _link(*options: str) -> socket.socket:
    """Return the way to a starter with these options of Python, which lives as long as we do."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    with theirs:
        starter = subprocess.Popen(
            [sys.executable, *options, "-c", _STARTER, str(theirs.fileno())],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            pass_fds=[theirs.fileno()],
        )
    # It ends when nobody can ask it any more.
    atexit.register(starter.wait, 60)
    atexit.register(ours.close)
    return ours
