"""Processes beside those of the server: workers of tasks, pools, commands, another site."""

from __future__ import annotations

from tests.oracle.kiosks import Ledger
from tests.oracle.scenario import Stage, scenario
from tests.services.processes import eventually, free_port, is_listening, program, running


@scenario(is_short=True, is_repetition=True, sites=2)
def two_sites(stage: Stage) -> None:
    """Sites of one user with settings of one name, which have nothing to do with each other."""
    one, other = stage.scenes
    with one.site.gunicorn("--workers", "2"), other.site.gunicorn("--preload"):
        with one.load(100), other.load(100, ["/paper/other/"]):
            pass
        one.finish_dropped()
        other.finish_dropped()


@scenario(is_short=True)
def pools(stage: Stage) -> None:
    """Requests that have processes of their own, which count and end."""
    with stage.scene.site.gunicorn("--workers", "2", "--preload", "--timeout", "0"):
        with stage.scene.load(40, ["/pool/", "/"], per_second=15):
            pass
        stage.scene.finish_dropped()


@scenario(is_short=True, is_repetition=True)
def commands(stage: Stage) -> None:
    """Commands that count, and end."""
    site = stage.scene.site
    with site.gunicorn("--workers", "2", "--preload"):
        with stage.scene.load(100):
            for count in (3, 5, 7):
                site.command("sell", str(count))
        stage.scene.finish_dropped()


@scenario(is_short=True)
def celery_worker(stage: Stage) -> None:
    """A worker of tasks, which outlives a restart of the web server."""
    site = stage.scene.site
    port = free_port()
    site.environment["BROKER"] = f"redis://127.0.0.1:{port}/0"
    alone = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(stage.folder)]
    with running([program("redis-server"), *alone], stage.folder / "redis.log"):
        eventually(lambda: is_listening(port))
        with site.celery("--pool", "solo"):
            with site.gunicorn(), stage.scene.load(40, ["/deliver/", "/"]):
                pass
            with site.gunicorn():
                with stage.scene.load(40, ["/deliver/", "/"]):
                    pass
                eventually(lambda: _has_delivered(site.ledger))
                stage.scene.finish_dropped()


def _has_delivered(ledger: Ledger) -> bool:
    """Tell whether the tasks that requests sent have all been run."""
    return ledger.sold["task"] == ledger.begun["/deliver/"]
