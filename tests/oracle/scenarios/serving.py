"""Nothing but requests, and what servers do in the course of things."""

from __future__ import annotations

import os
import signal

from tests.oracle.kiosks import reload_workers
from tests.oracle.scenario import Stage, scenario
from tests.services.sites import children


@scenario()
def gunicorn_sync(stage: Stage) -> None:
    """Workers that answer one request after the other."""
    with stage.scene.site.gunicorn("--workers", "3"):
        with stage.scene.load():
            pass
        stage.scene.finish_dropped()


@scenario()
def gunicorn_threads(stage: Stage) -> None:
    """Workers with threads, loaded before the fork."""
    with stage.scene.site.gunicorn("--workers", "2", "--threads", "4", "--preload"):
        with stage.scene.load():
            pass
        stage.scene.finish_dropped()


@scenario(is_short=True, is_repetition=True)
def uvicorn_workers(stage: Stage) -> None:
    """An ASGI server whose workers are spawned, not forked."""
    with stage.scene.site.uvicorn_workers("2"):
        with stage.scene.load():
            pass
        stage.scene.finish_dropped()


@scenario(is_short=True, is_repetition=True)
def recycling(stage: Stage) -> None:
    """Workers that are replaced after a few requests each."""
    with stage.scene.site.gunicorn("--workers", "2", "--preload", "--max-requests", "30"):
        with stage.scene.load():
            pass
        stage.scene.finish_dropped()


@scenario()
def recycling_of_the_only_worker(stage: Stage) -> None:
    """A moment without any worker, again and again."""
    with stage.scene.site.gunicorn("--workers", "1", "--preload", "--max-requests", "20"):
        with stage.scene.load():
            pass
        stage.scene.finish_dropped()


@scenario()
def stopped_workers(stage: Stage) -> None:
    """Workers that stand still, in whatever they were at, and go on later."""
    with stage.scene.site.gunicorn("--workers", "3", "--timeout", "0") as server:
        with stage.scene.load() as load:
            for answered in (30, 60, 90, 120):
                load.reaches(answered)
                worker = children(server)[0]
                os.kill(worker, signal.SIGSTOP)
                stage.scene.target.await_scrapes()
                os.kill(worker, signal.SIGCONT)
        stage.scene.finish_dropped()


@scenario(is_short=True, is_repetition=True)
def reload(stage: Stage) -> None:
    """Workers that are replaced all at once, by a signal to their master."""
    with stage.scene.site.gunicorn("--workers", "2") as server:
        with stage.scene.load() as load:
            for answered in (50, 100):
                load.reaches(answered)
                reload_workers(server)
        stage.scene.finish_dropped()
