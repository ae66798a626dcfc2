"""Start Python processes that have Django imported already, as forks of one that did that.

To import Django and prometheus_client takes most of the time that a short script takes, and half
of what a server with a few workers takes to start. What is forked is otherwise like a process of
its own: it has its own arguments, environment and files, nothing of the package is imported, and
its parent is the one that asked for it, of which it is no fork. So the package takes it for a
program that somebody started.
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
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

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
exec(sys.argv.pop())

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
    imports: str = "",
    output: IO[bytes] | None = None,
) -> subprocess.Popen[str]:
    """Start a process that runs ``code``, with pipes for its input, output and errors.

    ``options`` are those of Python, ``paths`` are where it looks for modules first, and
    ``imports`` is code that imports more than Django beforehand. With an ``output`` for what it
    prints, the process has no pipes.
    """
    if sys.platform != "linux":
        return subprocess.Popen(
            [sys.executable, *options, "-c", code, *arguments],
            cwd=directory,
            env={**environment, "PYTHONPATH": os.pathsep.join([*paths, str(_ROOT)])},
            stdin=subprocess.DEVNULL if output else subprocess.PIPE,
            stdout=output or subprocess.PIPE,
            stderr=output or subprocess.PIPE,
            text=True,
        )
    asked = {
        "code": code,
        "arguments": arguments,
        "environment": dict(environment),
        "directory": str(directory),
        "paths": paths,
    }
    with _asking, open(os.devnull, "rb") as nothing:
        given = nothing if output else subprocess.PIPE
        return _Forked(
            _link(imports, *options), json.dumps(asked), given, output or subprocess.PIPE
        )


def start_module(
    name: str, *arguments: str, environment: Mapping[str, str], directory: Path, output: IO[bytes]
) -> subprocess.Popen[str]:
    """Start a module in ``directory`` as ``python -m`` does, in this environment."""
    imports = _IMPORTED_BY.get(name, "")
    return _start_in(environment, directory, output, _MODULE, name, *arguments, imports=imports)


def start_code(
    code: str, environment: Mapping[str, str], directory: Path, output: IO[bytes]
) -> subprocess.Popen[str]:
    """Start some code in ``directory`` as ``python -c`` does, in this environment."""
    return _start_in(environment, directory, output, code)


def _start_in(
    environment: Mapping[str, str],
    directory: Path,
    output: IO[bytes],
    code: str,
    *arguments: str,
    imports: str = "",
) -> subprocess.Popen[str]:
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    warnings = environment.get("PYTHONWARNINGS", "default").split(",")
    return start(
        code,
        *arguments,
        environment=environment,
        options=tuple(f"-W{one}" for one in warnings),
        directory=directory,
        paths=tuple(filter(None, paths)),
        imports=imports,
        output=output,
    )


_MODULE = """
import os, runpy, sys
sys.path[0] = os.getcwd()
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""
_IMPORTED_BY = {
    "celery": "import celery.bin.celery, celery.apps.worker, celery.concurrency.prefork",
    "uvicorn": "import uvicorn.main",
}
"""What a module imports before it looks at the arguments, the environment or the directory."""

_asking = threading.Lock()


class _Forked(subprocess.Popen[str]):
    """A process that the starter makes by a fork, where others are made by ``exec``."""

    def __init__(
        self, link: socket.socket, asked: str, given: IO[bytes] | int, output: IO[bytes] | int
    ) -> None:
        self._link = link
        super().__init__([asked], stdin=given, stdout=output, stderr=output, text=True)

    def _execute_child(self, args: list[str], *others: Any) -> None:
        # As in every version: the ends of the pipes of standard input, output and errors.
        theirs_in, our_in, our_out, theirs_out, our_err, theirs_err = others[9:15]
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
            for descriptor, ours in zip(descriptors, (our_in, our_out, our_err), strict=True):
                # What is no pipe is closed by whoever opened it.
                if ours != -1:
                    os.close(descriptor)
        self._child_created = True


def _adopt_orphans(is_wanted: bool) -> None:
    assert ctypes.CDLL(None).prctl(_BECOME_PARENT_OF_ORPHANS, int(is_wanted), 0, 0, 0) == 0


@functools.cache
def _link(imports: str, *options: str) -> socket.socket:
    """Return the way to a starter with these options of Python, which lives as long as we do.

    It has run ``imports`` as well.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(60)
    with theirs:
        starter = subprocess.Popen(
            [sys.executable, *options, "-c", _STARTER, str(theirs.fileno()), imports],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            pass_fds=[theirs.fileno()],
        )
    # It ends when nobody can ask it any more.
    atexit.register(starter.wait, 60)
    atexit.register(ours.close)
    return ours
