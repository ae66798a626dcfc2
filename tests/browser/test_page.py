"""The live page in a real Chromium; run by ``tox -e live``."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import Page, chromium
from tests.browser.sites import Site, session_program
from tests.services.processes import eventually, missing, program

AXE = Path(__file__).resolve().parent / "node_modules" / "axe-core" / "axe.min.js"

Tab = Callable[[], Page]

ROWS = """[...document.querySelectorAll('#{} tbody tr')]
    .map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Tab]:
    others = filter(None, map(shutil.which, ("chromium-browser", "google-chrome")))
    with chromium(shutil.which("chromium") or next(others, "") or program("chromium")) as open_tab:
        yield open_tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """Open tabs that are closed after the test: a page that is open asks for more."""
    pages: list[Page] = []

    def opening() -> Page:
        pages.append(browser())
        return pages[-1]

    yield opening
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    made.prepare()
    with made.serving():
        for path, count in {"hello": 30, "queries": 4, "fail": 3, "execute": 5}.items():
            for _ in range(count):
                made.get(f"/{path}/")
        yield made


def log_in(page: Page, site: Site, user: str = "staff") -> None:
    page.open(f"{site.url}/live/")
    page.run(
        f"document.querySelector('[name=username]').value = {user!r};"
        f"document.querySelector('[name=password]').value = {user!r};"
        "document.querySelector('form[method=post]').submit()"
    )


def opened(tab: Tab, site: Site, width: int = 1440, height: int = 900) -> Page:
    """Return a tab with the page, which shows numbers."""
    page = tab()
    page.resize(width, height)
    log_in(page, site)
    page.wait("document.querySelector('#connection.good')")
    page.wait("document.querySelector('.uplot')")
    page.errors.clear()
    return page


def rows(page: Page, table: str) -> list[list[str]]:
    found: list[list[str]] = page.run(ROWS.format(table))
    return found


def tiles(page: Page) -> dict[str, list[str]]:
    found: dict[str, list[str]] = page.run(
        "Object.fromEntries([...document.querySelectorAll('.tile')].map((tile) =>"
        " [tile.children[0].innerText, [tile.children[1].innerText, tile.children[2].innerText]]))"
    )
    return found


def test_the_numbers_are_those_that_were_sent(tab: Tab, site: Site):
    # The first request made the history's first entry, and may be before it.
    page = opened(tab, site)
    page.run("document.querySelector('#windows input[value=\"1800\"]').click()")
    page.wait("document.querySelector('.tile:nth-child(3) .sub').innerText.startsWith('3 of ')")

    found = {row[0]: row for row in rows(page, "routes")}
    assert found["GET /fail/"][3] == "3"
    assert found["GET /queries/"][3:5] == ["0", "25"]
    assert found["GET /hello/"][3:5] == ["0", "0"]
    assert tiles(page)["Errors"][1].startswith("3 of ")
    assert tiles(page)["Processes"][0] == "2"
    assert rows(page, "exceptions")[0][:2] == ["ZeroDivisionError", "3"]
    (calls,) = rows(page, "executions")
    assert [calls[0], calls[1], calls[2], *calls[4:6]] == ["openai gpt-9", "5", "0", "500", "35"]
    assert page.run("document.querySelector('#executions h2').innerText") == (
        "LLM calls: US $ 1.2500"
    )
    assert page.run("document.querySelector('#sockets').hidden")
    assert page.run("document.querySelector('#tasks').hidden")

    counted = page.run(
        "fetch('data.json?window=1800').then((one) => one.json())"
        ".then((one) => Object.fromEntries(one.now.routes))"
    )
    # One of them was first, and may have been before the history.
    assert counted["GET /hello/"] in (30, 31)
    assert [counted[f"GET /{name}/"] for name in ("queries", "fail", "execute")] == [4, 3, 5]


def test_a_page_moves_when_requests_come(tab: Tab, site: Site):
    page = opened(tab, site)
    is_shown = f"{ROWS.format('routes')}.some((row) => row[0] === 'GET /admin/jsi18n/')"
    assert not page.run(is_shown)
    site.get("/admin/jsi18n/")

    page.wait(is_shown)


def test_nothing_violates_the_policy_or_comes_from_elsewhere(tab: Tab, site: Site):
    page = opened(tab, site)
    page.requests.clear()
    page.emulate(prefers_color_scheme="dark")
    explore(page, "stock_items")
    page.run("document.querySelector('#findings summary').click()")
    page.wait("document.querySelectorAll('.u-series').length")

    assert page.violations == []
    assert page.errors == []
    assert all(url.startswith(site.url) for url in page.requests), page.requests
    assert page.run("getComputedStyle(document.querySelector('.tile')).borderRadius") == "10px"


def explore(page: Page, name: str) -> None:
    page.run("document.querySelector('#explore-name').focus()")
    page.wait(f"document.querySelector('#metric-names option[value=\"{name}\"]')")
    page.write(name)


def test_any_metric_can_be_plotted(tab: Tab, site: Site):
    page = opened(tab, site)
    explore(page, "stock_items")

    page.wait("document.querySelector('#plot-explore .u-legend').innerText.includes('42')")


def test_label_sets_of_a_metric_are_told_apart(tab: Tab, site: Site):
    page = opened(tab, site, 1280, 720)
    explore(page, "http_requests_total")
    legend = "[...document.querySelectorAll('#plot-explore .u-legend .u-label')]"
    page.wait(f"{legend}.length > 3")
    names = page.run(f"{legend}.slice(1).map((one) => one.innerText)")
    assert len(names) == len(set(names))
    assert any(name.startswith("GET /hello/") for name in names), names
    # Each of them fits into the panel, however long they are.
    assert page.run(
        f"{legend}.slice(1).filter((one) => one.getBoundingClientRect().right <"
        " document.querySelector('#plot-explore').getBoundingClientRect().right).length"
    ) == len(names)
    assert page.run("document.querySelector('#plot-explore').ariaLabel") == "http_requests_total"


def test_escape_closes_the_findings(tab: Tab, site: Site):
    page = opened(tab, site)
    page.run("document.querySelector('#findings summary').click()")
    assert page.run("document.querySelector('#findings').open")
    page.press("Escape")

    assert not page.run("document.querySelector('#findings').open")


def test_one_screen_without_scrolling(tab: Tab, site: Site):
    page = opened(tab, site)

    assert page.run("document.documentElement.scrollHeight <= innerHeight")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")


def test_a_small_laptop_needs_no_scrolling_either(tab: Tab, site: Site):
    page = opened(tab, site, 1280, 720)
    # A service that uses everything has more tables than this one.
    page.run(
        "for (const name of ['tasks', 'queues', 'sockets', 'executions', 'processes'])"
        " document.querySelector('#' + name).hidden = false,"
        " document.querySelector('#side').append("
        "   document.querySelector('#processes').cloneNode(true))"
    )

    assert page.run("document.documentElement.scrollHeight <= innerHeight")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run(CUT) == []


CUT = """[...document.querySelectorAll('.tile .value, .bar h2')]
    .filter((one) => one.offsetParent && one.scrollWidth > one.clientWidth)
    .map((one) => one.innerText)"""


LEGENDS_ARE_WHOLE = """[...document.querySelectorAll('.u-legend')].every((one) =>
    one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight
    && one.getBoundingClientRect().bottom
       <= one.closest('.plot').getBoundingClientRect().bottom)"""


@pytest.mark.parametrize("width", [641, 1180, 1280])
def test_legends_are_whole(tab: Tab, site: Site, width: int):
    page = opened(tab, site, width, 800)
    eventually(lambda: page.run("document.querySelectorAll('.u-legend').length") > 0)

    # The plots get their sizes once their values are there.
    eventually(lambda: page.run(LEGENDS_ARE_WHOLE), 20)


@pytest.mark.parametrize("width", [360, 420])
def test_a_phone_needs_no_sideways_scrolling(tab: Tab, site: Site, width: int):
    page = opened(tab, site, width, 800)

    assert page.run("document.documentElement.scrollWidth") == width
    assert page.run(CUT) == []
    assert (
        page.run(
            "[...document.querySelectorAll('#routes tbody tr, #executions tbody tr')]"
            ".map((row) => row.cells[0]).filter((one) => one.scrollWidth > one.clientWidth).length"
        )
        == 0
    )
    assert page.run("document.querySelector('#plot-requests .u-over').clientWidth") > 200


LABELS = """
window.labels = [];
const draw = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const half = this.textAlign === "center" ? this.measureText(text).width / 2 : 0;
  const at = this.getTransform().e + x + half;
  window.labels.push([this.canvas.closest(".plot").id, text, at <= this.canvas.width]);
  draw.apply(this, arguments);
};
"""

ALTERED = """
window.asked = [];
const get = window.fetch;
window.fetch = async (url, options) => {
  const response = await get(url, options);
  if (!String(url).includes("data.json")) return response;
  window.asked.push(url);
  const answer = await response.json();
  window.alter?.(answer);
  return new Response(JSON.stringify(answer));
};
"""

HISTORY = """
window.alter = ({ now, history }) => {
  // Shortly after a full minute, so that a label is at the right edge.
  now.at = 1800000000 + 3;
  const rows = {rows};
  history.times = Array.from({ length: rows }, (_, at) => now.at - 5 * (rows - 1 - at));
  const values = history.times.map((_, at) => 2.4 + (at % 2) / 10);
  history.columns = Object.fromEntries(
    ["2xx", "p50", "p95", "p99", "busy", "hits"].map((name) => [name, values]));
};
"""


@pytest.mark.parametrize("locale", ["en-US", "es", "ar-EG"])
@pytest.mark.parametrize("rows", [4, 24, 360])
def test_the_labels_of_a_plot_are_whole_and_differ(tab: Tab, site: Site, locale: str, rows: int):
    page = tab()
    page.resize(1280, 720)
    page.call("Emulation.setLocaleOverride", locale=locale)
    page.call("Emulation.setTimezoneOverride", timezoneId="America/New_York")
    scripts = LABELS + ALTERED + HISTORY.replace("{rows}", str(rows))
    page.call("Page.addScriptToEvaluateOnNewDocument", source=scripts)
    log_in(page, site)
    page.wait("document.querySelector('#connection.good')")
    page.run("new Promise((done) => setTimeout(done, 300))")
    page.run("window.labels = []")
    page.wait("window.labels.some(([plot]) => plot === 'plot-latency')")
    drawn = page.run("window.labels.filter(([plot, text]) => plot === 'plot-latency' && text)")

    assert [text for _, text, is_whole in drawn if not is_whole] == []
    texts = [text for _, text, _ in drawn]
    times = [text for text in texts if ":" in text]
    assert len(times) >= 2
    assert all(re.fullmatch(r"\d\d:\d\d(:\d\d)?", text) for text in times)
    assert len(times) == len(set(times)), "One label twice."
    # As many digits in each, but for zero.
    values = [text for text in texts if ":" not in text and text != "0"]
    assert len({len(text.partition(".")[2]) for text in values}) == 1, values


def test_all_of_it_is_printed(tab: Tab, site: Site):
    page = opened(tab, site, 1280, 720)
    page.run("document.querySelector('#routes .scroll').id = 'printed'")
    page.call("Emulation.setEmulatedMedia", media="print")

    assert page.run("document.querySelector('#printed').scrollHeight") == (
        page.run("document.querySelector('#printed').clientHeight")
    )
    assert page.run("getComputedStyle(document.querySelector('#side')).overflowY") == "visible"


def test_a_clock_that_is_set_back_does_not_stop_the_plots(tab: Tab, site: Site):
    page = tab()
    page.call("Page.addScriptToEvaluateOnNewDocument", source=ALTERED)
    log_in(page, site)
    page.wait("document.querySelector('#connection.good')")
    page.wait("window.asked.some((url) => !url.endsWith('since=0'))")
    page.run("""
        window.alter = ({ now, history }) => {
          now.at -= 3600;
          history.times = history.times.map((time) => time - 3600);
        };
        window.asked = [];
    """)

    page.wait("window.asked.some((url) => url.endsWith('since=0'))")


def test_a_service_without_data_says_why(tab: Tab, site: Site):
    page = opened(tab, site)
    page.run("""
        window.fetch = async () => new Response("Service Unavailable: no space left.\\n",
          { status: 503, headers: { "Content-Type": "text/plain; charset=utf-8" } });
    """)

    page.wait("document.querySelector('#connection.bad')")
    assert "no space left" in page.run("document.querySelector('#connection').innerText")


def test_the_dark_scheme_is_dark(tab: Tab, site: Site):
    page = opened(tab, site)
    light = page.run("getComputedStyle(document.body).backgroundColor")
    page.emulate(prefers_color_scheme="dark")

    assert page.run("getComputedStyle(document.body).backgroundColor") != light
    page.wait("document.querySelector('.uplot')")


def test_tables_are_sorted_and_filtered_by_keyboard(tab: Tab, site: Site):
    page = opened(tab, site)
    page.press("/")
    assert page.run("document.activeElement.id") == "filter"
    page.write("queries")
    assert [row[0] for row in rows(page, "routes")] == ["GET /queries/"]
    assert page.run("document.querySelector('#shown').innerText").startswith("1 of ")
    page.run("document.querySelector('#filter').value = ''")

    page.press("Tab")
    for _ in range(5):
        if page.run("document.activeElement.innerText") == "Route":
            break
        page.press("Tab")
    page.press("Enter")
    page.wait("document.querySelector('#routes th').getAttribute('aria-sort')")
    names = [row[0].lower() for row in rows(page, "routes")]
    assert names == sorted(names)
    page.press("Enter")
    assert page.run("document.querySelector('#routes th').getAttribute('aria-sort')") == (
        "descending"
    )


def test_every_control_can_be_reached_by_keyboard(tab: Tab, site: Site):
    page = opened(tab, site)
    seen = set()
    for _ in range(60):
        page.press("Tab")
        seen.add(
            page.run("document.activeElement.id || document.activeElement.innerText.slice(0, 20)")
        )

    assert {"explore-name", "filter", "Table", "Route", "p95"} <= seen
    assert any("checks of the" in one for one in seen)


def test_a_plot_has_a_table(tab: Tab, site: Site):
    page = opened(tab, site)
    page.run("document.querySelector('#plot-requests button').click()")

    page.wait("document.querySelector('#plot-requests .values tbody tr')")
    heads = (
        "[...document.querySelectorAll('#plot-requests .values th')].map((one) => one.innerText)"
    )
    assert page.run(heads) == ["Time", "2xx", "3xx", "4xx", "5xx"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(tab: Tab, site: Site, scheme: str):
    if not AXE.exists():
        missing("axe-core is not installed; `tox -e live` does that")
    page = opened(tab, site)
    page.emulate(prefers_color_scheme=scheme)
    page.run("document.querySelector('#plot-latency button').click()")
    # By the protocol, which no policy of the page forbids.
    page.run(AXE.read_text())
    found: list[dict[str, Any]] = page.run("axe.run().then((found) => found.violations)")

    serious = [one for one in found if one["impact"] in ("serious", "critical", "moderate")]
    assert serious == [], json.dumps(
        [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in serious], indent=1
    )


def test_a_hidden_tab_asks_nothing(tab: Tab, site: Site):
    page = opened(tab, site)
    page.run(
        "Object.defineProperty(document, 'hidden', {get: () => window.away ?? false});"
        "window.away = true; document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.run("new Promise((done) => setTimeout(done, 300))")
    page.requests.clear()
    page.run("new Promise((done) => setTimeout(done, 2500))")
    assert page.requests == []

    page.run("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    page.run("new Promise((done) => setTimeout(done, 300))")
    assert any("data.json" in url for url in page.requests)


@pytest.mark.parametrize(("user", "is_allowed"), [("viewer", True), ("other", False)])
def test_the_permission_opens_the_page(tab: Tab, site: Site, user: str, is_allowed: bool):
    page = tab()
    # The admin's login is for staff; the session is what a login page of the site makes.
    key = site.run(session_program(user))
    page.call("Network.setCookie", name="sessionid", value=key, url=site.url)
    page.open(f"{site.url}/live/")

    if is_allowed:
        page.wait("document.querySelector('#connection.good')")
    else:
        assert "tachikoma_metrics.view_live" in page.text()


def test_a_server_that_is_gone_and_comes_back(tab: Tab, tmp_path: Path):
    site = Site(tmp_path)
    site.prepare()
    with site.serving(workers=1):
        page = opened(tab, site)
        assert page.run("document.querySelector('#connection').innerText").startswith("Live")
    page.wait("document.querySelector('#connection').innerText.startsWith('Not connected since')")
    assert page.run("document.querySelectorAll('#routes tbody tr').length") > 0
    with site.serving(workers=1):
        page.run("window.dispatchEvent(new Event('online'))")
        page.wait("document.querySelector('#connection.good')")


def test_a_killed_worker_leaves_no_hole(tab: Tab, site: Site):
    page = opened(tab, site)
    (pid,) = {int(row[0].split()[-1]) for row in rows(page, "processes")[:1]}
    last = "fetch('data.json').then((one) => one.json()).then((one) => one.history.times.at(-1))"
    before = page.wait(last)
    os.kill(pid, signal.SIGKILL)
    page.wait(f"{last}.then((at) => at > {before})", 20)
    after = page.run(last)
    assert 0 < after - before < 10


CUSTOM_USER = """
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models


class Manager(BaseUserManager):
    def create_user(self, username, password):
        user = self.model(email=username)
        user.set_password(password)
        user.save()
        return user


class User(AbstractBaseUser):
    email = models.CharField(max_length=100, unique=True)
    is_staff = True
    USERNAME_FIELD = "email"
    objects = Manager()

    class Meta:
        app_label = "people"
"""

ODD_SETTINGS = """
INSTALLED_APPS = [
    "people", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
    "tachikoma_metrics",
]
AUTH_USER_MODEL = "people.User"
LOGIN_URL = "enter"
STATIC_URL = "https://static.example/"
LANGUAGE_CODE = "ar"
TIME_ZONE = "Asia/Kathmandu"
USE_THOUSAND_SEPARATOR = True
CSP_POLICY = "default-src 'none'; script-src 'none'; report-uri /csp/"
MIDDLEWARE = ["tachikoma_metrics.middleware.MetricsMiddleware", "csp.PolicyMiddleware", *[
    one for one in MIDDLEWARE[1:] if "messages" not in one]]
TEMPLATES = []
"""

CSP = """
from django.conf import settings

def PolicyMiddleware(get_response):
    def middleware(request):
        response = get_response(request)
        # As django-csp and Django's own do.
        response.headers.setdefault("Content-Security-Policy", settings.CSP_POLICY)
        return response
    return middleware
"""

ODD_URLS = """
from django.contrib.auth import authenticate, login
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

def hello(request):
    return HttpResponse("hello")

@csrf_exempt
def enter(request):
    if request.method == "POST":
        given = {name: request.POST[name] for name in ("username", "password")}
        login(request, authenticate(request, **given))
        return HttpResponseRedirect(request.GET["next"])
    # An empty action leads to the same URL.
    return HttpResponse("<form method=post><input name=username><input name=password></form>",
                        headers={"Content-Security-Policy": "default-src 'self'"})

urlpatterns = [
    path("hello/", hello), path("enter/", enter, name="enter"),
    path("a/live", include("tachikoma_metrics.live.urls")),
]
"""


def test_a_site_that_differs_in_all_ways(tab: Tab, tmp_path: Path):
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "__init__.py").write_text("")
    (tmp_path / "people" / "models.py").write_text(CUSTOM_USER)
    site = Site(tmp_path, ODD_SETTINGS, prefix="/below", site_urls=ODD_URLS, csp=CSP)
    site.prepare(
        "from people.models import User\nUser.objects.create_user('staff', 'staff')",
        migrations="call_command('makemigrations', 'people', verbosity=0)",
    )
    with site.serving():
        page = tab()
        page.open(f"{site.url}/a/live")
        assert page.run("location.pathname") == "/below/enter/"
        page.run(
            "document.querySelector('[name=username]').value = 'staff';"
            "document.querySelector('[name=password]').value = 'staff';"
            "document.querySelector('form').submit()"
        )
        page.wait("document.querySelector('#connection.good')")
        page.wait("document.querySelector('.uplot')")
        assert page.run("location.pathname") == "/below/a/live"
        assert page.run("document.documentElement.lang") == "en"
        site.get("/hello/")
        page.wait(f"{ROWS.format('routes')}.some((row) => row[0] === 'GET /hello/')")
        assert page.violations == []
        # In this language, 2.0 seconds are "2,0" in a template.
        page.requests.clear()
        page.run("new Promise((done) => setTimeout(done, 5000))")
        assert 1 <= len([url for url in page.requests if "data.json" in url]) <= 3
