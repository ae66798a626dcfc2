from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tachikoma_metrics import normalize_path
from tachikoma_metrics.catalogue.labels import MAX_LENGTH, clean, method_name, route_template

UUID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.mark.parametrize(
    ("route", "template"),
    [
        ("", "/"),
        ("hello/", "/hello/"),
        ("missions/<uuid:mission_id>/specs/", "/missions/:id/specs/"),
        ("articles/<int:pk>/", "/articles/:pk/"),
        ("<slug>/page.html", "/:slug/page.html"),
        ("c++/", "/c++/"),
        (r"^articles/(?P<year>[0-9]{4})/$", "/articles/:year/"),
        (r"api/^users/(\d+)/$", "/api/users/:var/"),
        (r"^feed\.xml\Z", "/feed.xml"),
        (r"^(?P<slug>\w+(?:-\w+)*)/$", "/:slug/"),
        (r"<uuid:user>/^(?P<tab>a|b)$", "/:id/:tab"),
        (r"admin/(?P<url>.*)$", "/admin/:url"),
        (r"^groups/(\d+)/(?:page-(?P<page>\d+)/)?$", "/groups/:var/page-:page/"),
        (r"^users/(?:in)?active/$", "/users/inactive/"),
        (r"^(?i:shop)/(?=x)(?!y)(?P<item>(a|(b|c)))/$", "/shop/:item/"),
        (r"^(?P<name>[()<>]+)\.html$", "/:name.html"),
        (r"^page[0-9]{2,3}/\d+/$", "/page:var/:var/"),
        # Wagtail's pages, its last resort in the admin, and its comparison of revisions, whose
        # URL has the dots.
        (r"^((?:[\w\-]+/)*)$", "/:path"),
        (r"admin/^.*/$", "/admin/:path/"),
        (
            r"pages/^(\d+)/revisions/compare/(live|earliest|\d+)\.\.\.(live|latest|\d+)/$",
            "/pages/:var/revisions/compare/:var...:var/",
        ),
        # Django REST framework's second route of each view.
        (r"api/^users/$", "/api/users/"),
        (r"api/^users\.(?P<format>[a-z0-9]+)/?$", "/api/users/"),
        (r"api/^users/(?P<pk>[^/.]+)\.(?P<format>[a-z0-9]+)/?$", "/api/users/:pk/"),
        (r"^users\.(?P<format>(json|api))/?$", "/users/"),
        ("snippets<drf_format_suffix:format>", "/snippets/"),
        ("snippets/<int:pk><drf_format_suffix_json_html:format>", "/snippets/:pk/"),
        ("report.<str:format>", "/report.:format"),
        (r"^report\.(?P<format>csv|pdf)$", "/report.:format"),
        # What is open and has no name.
        (r"^.*$", "/:path"),
        (r"^(.*)$", "/:path"),
        (r"^(?:.*)/?$", "/:path/"),
        (r"^[^/]+/edit/$", "/:var/edit/"),
        (r"^(?!api/).*$", "/:path"),
        (r"^files/(?:[a-z]+/)*\w+[.]pdf$", "/files/:var/:var.pdf"),
        (r"^v(\d)\.(\d)/$", "/v:var.:var/"),
        (r"^(a|b)/\1/$", "/:var/:var/"),
        (r"^(?P<a>x)/(?P=a)/$", "/:a/:var/"),
        # Operators.
        (r"feed.xml$", "/feed.xml"),
        (r"^colou?r/$", "/colour/"),
        (r"^(?:news|blog)/(?P<slug>[\w-]+)/$", "/news|blog/:slug/"),
        (r"^(?P<year>\d{4})?/$", "/:year/"),
        (r"^a/(?P<b>(?:x(?P<c>y))+)/(?P<d>.{1,3})$", "/a/:b/:d"),
        (r"^x(?=/(.*))/(?<!y)z$", "/x/z"),
        (r"(?i)^shop/(?#of all)(?>items)/\b$", "/shop/items/"),
        (r"users/(?P<user>[0-9a-f-]{36})", "/users/:user"),
        (r"^$", "/"),
        (r"^/lead/$", "/lead/"),
        (r"^unbalanced)/(?P<a>x", "/unbalanced/:a"),
    ],
)
def test_a_route_becomes_a_template(route: str, template: str):
    assert route_template(route) == template


def test_the_language_prefix_of_a_route_becomes_a_placeholder():
    assert route_template("pt-br/about/", "pt-br") == "/:language/about/"
    assert route_template("about/", "pt-br") == "/about/"
    assert route_template("english/", "en") == "/english/"
    assert route_template(r"de/^preise/(\d+)/$", "de") == "/:language/preise/:var/"


@given(st.text())
@example("(?P<")
@example("(" * 5000)
@example("(?:" * 5000 + ")" * 5000)
@example("[<" * 500)
def test_any_route_becomes_a_template_that_starts_with_a_slash(route: str):
    assert route_template(route).startswith("/")


@given(st.text(st.characters(codec=None, categories=None), max_size=400))
@example("gpt\ud800")
@example("\udfff" * 300)
def test_clean_text_is_short_and_valid_utf8(text: str):
    cleaned = clean(text)

    cleaned.encode()
    assert len(cleaned) <= MAX_LENGTH


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=MAX_LENGTH))
def test_valid_short_text_is_left_alone(text: str):
    assert clean(text) == text


@pytest.mark.parametrize(("value", "text"), [(7, "7"), (None, "None"), ("", "")])
def test_other_values_become_text(value: object, text: str):
    assert clean(value) == text


@pytest.mark.parametrize(
    ("method", "name"),
    [("GET", "GET"), ("PATCH", "PATCH"), ("get", "other"), ("BREW", "other"), (None, "other")],
)
def test_a_method_is_standard_or_other(method: str | None, name: str):
    assert method_name(method) == name


@pytest.mark.parametrize(
    ("path", "normalized"),
    [
        (f"/a/{UUID}", "/a/:id"),
        (f"/a/{UUID.upper()}/b/{UUID}/", "/a/:id/b/:id/"),
        ("/a/123e4567", "/a/123e4567"),
        ("", ""),
    ],
)
def test_uuids_in_a_path_become_placeholders(path: str, normalized: str):
    assert normalize_path(path) == normalized
