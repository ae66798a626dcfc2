from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urljoin

import django
import pytest
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.test import AsyncClient, Client, RequestFactory, override_settings

from tachikoma_metrics.live import assets, views
from tachikoma_metrics.live.sampler import SAMPLER
from tachikoma_metrics.models import LivePage
from tachikoma_metrics.testing import sample_value

ROUTES = ["", "data.json", "findings.json", "metrics.json", "metric.json?name=x"]

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> Iterator[None]:
    for shared in [*views._ANSWERS.values(), views._FINDINGS, views._METRICS]:
        shared._own = None
    SAMPLER.after_fork()
    yield
    SAMPLER.after_fork()


def client_of(user: User | None = None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


@pytest.fixture
def staff() -> Client:
    return client_of(User.objects.create(username="staff", is_staff=True))


def granted(user: User) -> User:
    kind = ContentType.objects.get_for_model(LivePage, for_concrete_model=False)
    permission, _ = Permission.objects.get_or_create(content_type=kind, codename="view_live")
    user.user_permissions.add(permission)
    return user


def data(client: Client, query: str = "") -> Any:
    response = client.get(f"/live/data.json{query}")
    assert response.status_code == 200, response.content
    return response.json()


# --- access -----------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES)
def test_staff_may_see_it(staff: Client, route: str):
    assert staff.get(f"/live/{route}").status_code == 200


@pytest.mark.parametrize("route", ROUTES)
def test_a_user_with_the_permission_may_see_it(route: str):
    client = client_of(granted(User.objects.create(username="viewer")))

    assert client.get(f"/live/{route}").status_code == 200


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "facts", [{}, {"is_staff": True, "is_active": False}], ids=["user", "inactive staff"]
)
def test_another_user_may_not(route: str, facts: dict[str, bool]):
    client = client_of(User.objects.create(username="other", **facts))

    response = client.get(f"/live/{route}")
    assert response.status_code in (302, 403)
    if response.status_code == 403 and not facts:
        assert b"tachikoma_metrics.view_live" in response.content


def test_a_visitor_is_led_to_the_login_and_back():
    response = Client().get("/live/")

    assert response.status_code == 302
    assert response.headers["Location"] == "/admin/login/?next=%2Flive%2F"


@override_settings(LOGIN_URL="/slow/")
def test_the_login_of_the_settings_comes_first():
    with override_settings(LOGIN_URL="https://login.example/?x=1"):
        location = Client().get("/live/").headers["Location"]

    assert location == "https://login.example/?x=1&next=%2Flive%2F"


@pytest.mark.parametrize("route", ROUTES[1:])
def test_a_visitor_gets_no_data(route: str):
    assert Client().get(f"/live/{route}").status_code == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1"])
def test_an_address_alone_is_not_enough(address: str):
    for more in ({"DEBUG": True}, {"INTERNAL_IPS": [address]}):
        with override_settings(**more):
            assert Client(REMOTE_ADDR=address).get("/live/data.json").status_code == 403


DEVELOPMENT = {"DEBUG": True, "INTERNAL_IPS": ["127.0.0.1"]}


@override_settings(**DEVELOPMENT)
def test_a_developer_needs_no_login():
    assert Client().get("/live/").status_code == 200


@override_settings(**DEVELOPMENT, MIDDLEWARE=[])
def test_a_developer_needs_no_users():
    assert Client().get("/live/").status_code == 200


@override_settings(**DEVELOPMENT)
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=8.8.8.8"},
        {"X-Real-IP": "8.8.8.8"},
        {"Via": "1.1 tunnel"},
        {"Host": "evil.example"},
    ],
    ids=lambda headers: next(iter(headers)),
)
def test_a_developers_tunnel_is_no_developer(headers: dict[str, str]):
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        assert Client(headers=headers).get("/live/data.json").status_code in (400, 403)


def test_a_login_url_that_does_not_exist_leads_to_the_admin():
    with override_settings(LOGIN_URL="no-such-name"):
        assert Client().get("/live/").headers["Location"] == "/admin/login/?next=%2Flive%2F"
    assert sample_value("tachikoma_metrics_errors_total", source="access") is None


@override_settings(MIDDLEWARE=[])
def test_without_a_login_the_response_has_the_remedy():
    response = Client().get("/live/")

    assert response.status_code == 403
    assert b"AuthenticationMiddleware" in response.content
    assert b"INTERNAL_IPS" in response.content


def test_a_user_model_without_staff_and_permissions_may_not():
    class Bare(AbstractBaseUser):
        class Meta:
            app_label = "tests"
            managed = False

    request = RequestFactory().get("/live/data.json")
    request.user = Bare()  # type: ignore[assignment]  # A project's model.
    response = views.data(request)

    assert response.status_code == 403


def test_what_a_project_raises_is_no_access():
    class Broken(AnonymousUser):
        is_authenticated = True  # type: ignore[assignment]
        is_active = True  # type: ignore[assignment]

        def has_perm(self, *args: Any, **kwargs: Any) -> bool:
            raise RuntimeError("no backend")

    request = RequestFactory().get("/live/data.json")
    request.user = Broken()
    response = views.data(request)

    assert response.status_code == 403
    assert sample_value("tachikoma_metrics_errors_total", source="access") == 1


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
@pytest.mark.parametrize("route", ROUTES)
def test_it_only_reads(staff: Client, method: str, route: str):
    response = getattr(staff, method)(f"/live/{route}")

    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_head_has_no_body(staff: Client):
    response = staff.head("/live/")

    assert (response.status_code, response.content) == (200, b"")


@pytest.mark.parametrize("route", ROUTES)
def test_every_response_is_kept_from_others(staff: Client, route: str):
    for client in (staff, Client()):
        headers = client.get(f"/live/{route}").headers

        assert headers["Cache-Control"] == "private, no-store"
        assert headers["Content-Security-Policy"].startswith("default-src 'none';")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has no policy before 6.0")
def test_the_policy_of_the_site_does_not_replace_that_of_the_page(staff: Client):
    middleware = ["django.middleware.csp.ContentSecurityPolicyMiddleware", *settings.MIDDLEWARE]
    with override_settings(MIDDLEWARE=middleware, SECURE_CSP={"default-src": ["'self'"]}):
        headers = staff.get("/live/").headers

    assert headers["Content-Security-Policy"] == views.HEADERS["Content-Security-Policy"]


async def test_it_is_served_under_asgi():
    client = AsyncClient()
    with override_settings(**DEVELOPMENT):
        assert (await client.get("/live/data.json")).status_code == 200
    assert (await client.get("/live/data.json")).status_code == 403
    assert (await client.get("/live/")).status_code == 302


def test_login_is_not_required_of_a_developer_where_it_is_of_others():
    middleware = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    with override_settings(MIDDLEWARE=middleware, LOGIN_URL="/admin/login/"):
        assert Client().get("/live/data.json").status_code == 403
        with override_settings(**DEVELOPMENT):
            assert Client().get("/live/data.json").status_code == 200


# --- the page and its files ---------------------------------------------------


def test_the_page_names_files_that_are_there(staff: Client):
    page = staff.get("/live/").content.decode()

    for asset in assets.assets().values():
        assert f'"assets/{asset.name}"' in page
        response = staff.get(f"/live/assets/{asset.name}")
        assert response.content == asset.content
        assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"


@override_settings(**DEVELOPMENT)
@pytest.mark.parametrize("path", ["/live", "/l:ive", "/50%/li?ve", "/a/live#1"])
def test_the_files_are_beside_the_page_whatever_its_path_is(path: str):
    request = RequestFactory().get("/")
    request.path = path

    links = re.findall('(?:href|src)="(.*?assets/.*?)"', views.page(request).content.decode())
    base = f"http://testserver{quote(path)}"
    assert len(links) == len(assets.assets())
    for link in links:
        assert urljoin(base, link).startswith(f"{base}assets/")


def test_a_file_of_another_version_is_not_there(staff: Client):
    assert staff.get("/live/assets/live.000000000000.js").status_code == 404
    assert staff.get("/live/assets/live.js").status_code == 404


def test_files_are_compressed_for_browsers(staff: Client):
    asset = assets.assets()["uplot.js"]
    response = staff.get(f"/live/assets/{asset.name}", headers={"Accept-Encoding": "gzip"})

    assert gzip.decompress(response.content) == asset.content


def test_all_files_are_smaller_than_40_kilobytes():
    assert sum(len(asset.compressed) for asset in assets.assets().values()) < 40_000


@override_settings(TEMPLATES=[])
def test_the_project_needs_no_templates(staff: Client):
    assert staff.get("/live/").status_code == 200


@pytest.mark.parametrize("language", ["en", "de", "ar", "fr"])
def test_numbers_for_the_script_are_in_no_language(staff: Client, language: str):
    with override_settings(LANGUAGE_CODE=language, USE_THOUSAND_SEPARATOR=True):
        page = staff.get("/live/").content.decode()

    assert 'data-poll-seconds="2.0"' in page
    assert 'value="1800"' in page


# --- data ---------------------------------------------------------------------


def test_the_data_agree_with_what_was_sent(staff: Client):
    staff.get("/live/data.json")
    SAMPLER.step()
    for _ in range(3):
        staff.get("/hello/")
    staff.get("/no/such/page/")
    views._ANSWERS[300]._own = None

    now = data(staff)["now"]
    assert now["service"]["statuses"] == {"2xx": 3, "4xx": 1}
    assert {(name, number) for name, number, *_ in now["routes"]} == {
        ("GET /hello/", 3),
        ("GET <unmatched>", 1),
    }


def test_viewers_are_not_counted(staff: Client):
    for route in ROUTES:
        staff.get(f"/live/{route}")

    assert sample_value("http_requests_total", method="GET", path="/live/", status="200") is None
    assert sample_value("http_requests_in_flight") == 0


def test_viewers_share_an_answer(staff: Client, monkeypatch: pytest.MonkeyPatch):
    made = []

    def make() -> str:
        made.append(1)
        return '"answer"'

    monkeypatch.setattr(views._ANSWERS[300], "_make", make)
    monkeypatch.setattr(views._ANSWERS[300], "_seconds", 60.0)

    assert {data(staff)["now"] for _ in range(10)} == {"answer"}
    assert len(made) == 1


@pytest.mark.parametrize("query", ["", "?window=60", "?window=7", "?window=x&since=nan", "?since="])
def test_any_query_is_answered(staff: Client, query: str):
    assert data(staff, query)["now"]["seconds"] == 0


@override_settings(TACHIKOMA_METRICS={"LABELS": {"http_requests_total": ["method"]}})
def test_without_some_labels_the_rest_is_there(staff: Client):
    SAMPLER.step()
    staff.get("/hello/")

    now = data(staff)["now"]
    assert now["service"]["requests"] == 1


@override_settings(TACHIKOMA_METRICS={"LABELS": {"http_requests_total": ["method", "path"]}})
def test_without_the_status_a_route_is_not_taken_for_one(staff: Client):
    SAMPLER.step()
    staff.get("/hello/")

    now = data(staff)["now"]
    assert [(name, number) for name, number, *_ in now["routes"]] == [("GET /hello/", 1)]
    assert now["service"]["statuses"] == {"": 1}


@override_settings(TACHIKOMA_METRICS={"LABELS": {"http_request_duration_seconds": ["path"]}})
def test_a_name_of_fewer_labels_has_no_space_for_the_others(staff: Client):
    SAMPLER.step()
    staff.get("/hello/")

    assert "/hello/" in {name for name, *_ in data(staff)["now"]["routes"]}


@override_settings(TACHIKOMA_METRICS={"DISABLED_METRICS": ["http_request_duration_seconds"]})
def test_it_says_which_metrics_are_off(staff: Client):
    now = data(staff)["now"]

    assert "http_request_duration_seconds" in now["off"]
    assert "http_request_db_queries" in now["off"]
    assert "http_requests_total" not in now["off"]


def test_the_doctors_findings_are_there(staff: Client):
    found = staff.get("/live/findings.json").json()

    assert {"check", "status", "message", "hint"} == found[0].keys()
    assert "settings" in {one["check"] for one in found}


def test_any_metric_can_be_looked_up(staff: Client):
    staff.get("/hello/")

    listed = {name: kind for name, kind, _ in staff.get("/live/metrics.json").json()}
    assert listed["http_requests_total"] == "counter"
    assert listed["http_request_duration_seconds"] == "histogram"
    query = "/live/metric.json?name={}&type={}"
    (found,) = [
        one
        for one in staff.get(query.format("http_requests_total", "counter")).json()
        if "status=200" in one[0]
    ]
    assert found == ["method=GET, path=/hello/, status=200", 1.0, None]
    timed = staff.get(query.format("http_request_duration_seconds", "histogram")).json()
    assert [number for _, seconds, number in timed if seconds] == [1.0]


def test_what_fails_is_counted_and_not_shown(staff: Client, monkeypatch: pytest.MonkeyPatch):
    def fail() -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr(views._ANSWERS[300], "_make", fail)
    response = staff.get("/live/data.json")

    assert response.status_code == 500
    assert b"secret" not in response.content
    assert sample_value("tachikoma_metrics_errors_total", source="live") == 1


# --- the admin ----------------------------------------------------------------


def test_the_admin_has_a_link(staff: Client):
    index = staff.get("/admin/").content.decode()
    assert "/admin/tachikoma_metrics/livepage/" in index

    response = staff.get("/admin/tachikoma_metrics/livepage/")
    assert response.headers["Location"] == "/live/"


def test_the_admin_of_a_project_without_the_page_has_none(staff: Client):
    with override_settings(ROOT_URLCONF="tests.live.urls_without"):
        assert "livepage" not in staff.get("/admin/").content.decode()


def test_nothing_of_it_is_imported_unless_its_urls_are():
    code = (
        "import django, sys; from django.conf import settings; django.setup()\n"
        "settings.ROOT_URLCONF = 'tests.plain_urls'\n"
        "from django.core import checks; checks.run_checks()\n"
        "print([n for n in sys.modules if n.startswith('tachikoma_metrics.live')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": ".:example_project"},
    )

    assert done.stdout.strip() == "[]"


def test_json_is_json(staff: Client):
    response = staff.get("/live/data.json", headers={"Accept-Encoding": "gzip"})

    body = response.content
    assert json.loads(gzip.decompress(body) if "Content-Encoding" in response.headers else body)
