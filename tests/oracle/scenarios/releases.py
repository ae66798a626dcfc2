"""Releases by symbolic link, which is switched while the site is served through it."""

from __future__ import annotations

from tests.oracle.kiosks import reload_workers
from tests.oracle.scenario import Stage, scenario


@scenario(is_short=True)
def release_and_reload(stage: Stage) -> None:
    """The link is switched, and the workers replaced some scrapes later."""
    site = stage.scene.site
    site.become_releases()
    with site.gunicorn("--workers", "3", "--chdir", str(site.current)) as server:
        with stage.scene.load() as load:
            load.reaches(50)
            site.switch_to("2")
            stage.scene.target.await_scrapes(3)
            reload_workers(server)
            stage.scene.target.await_scrapes()
        stage.scene.finish_dropped()


@scenario()
def release_and_restart(stage: Stage) -> None:
    """The link is switched, and the server stopped and started."""
    site = stage.scene.site
    site.become_releases()
    with stage.scene.load() as load:
        with site.gunicorn("--workers", "3", "--chdir", str(site.current)):
            load.reaches(50)
            site.switch_to("2")
            stage.scene.target.await_scrapes(3)
        with site.gunicorn("--workers", "3", "--chdir", str(site.current)):
            load.reaches(load.count)
            stage.scene.finish_dropped()


@scenario()
def release_beside_a_command(stage: Stage) -> None:
    """What a command of the old release has counted is not lost with the release."""
    site = stage.scene.site
    site.become_releases()
    with site.gunicorn("--workers", "2", "--chdir", str(site.current)) as server:
        site.command("sell", "5")
        with stage.scene.load() as load:
            load.reaches(50)
            site.switch_to("2")
            site.command("sell", "7")
            reload_workers(server)
        stage.scene.finish_dropped()
