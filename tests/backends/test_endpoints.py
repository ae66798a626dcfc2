from __future__ import annotations

import random
import string

import pytest

from tachikoma_metrics.backends.api_paths import API_PATHS
from tachikoma_metrics.backends.endpoints import Endpoints


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/chat/completions?stream=1", "/v1/chat/completions"),
        ("/openai/v1/chat/completions", "/v1/chat/completions"),
        ("/api/v1/chat/completions", "/v1/chat/completions"),
        ("/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/gpt-5/chat/completions", "/v1/chat/completions"),
        ("/openai/deployments/completions/completions", "/v1/completions"),
        ("/v1/deployments/run/run", "/v1/deployments/:id/run"),
        ("/v1/messages", "/v1/messages"),
        ("/v1/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/v1/threads/abc/messages", "/v1/threads/:id/messages"),
        ("/v1/files/a%2Fb/content", "/v1/files/:id/content"),
        ("/v1/responses/input_tokens", "/v1/responses/input_tokens"),
        ("/v1/responses/resp_1", "/v1/responses/:id"),
        ("/v1/responses/:id", "/v1/responses/:id"),
        ("/evil/v1/chat/completions", "other"),
        ("/v1/v1/chat/completions", "other"),
        ("/v1beta/messages", "other"),
        ("/v1/chat", "other"),
        ("/v1/chat/completions/", "other"),
        ("/v1//completions", "other"),
        ("/v1/files//content", "other"),
        ("v1/messages", "other"),
        ("/", "other"),
        ("", "other"),
        ("/" * 100_000, "other"),
    ],
)
def test_a_path_is_matched_as_a_whole(path: str, endpoint: str):
    assert Endpoints().name(path) == endpoint


@pytest.mark.parametrize(
    ("base_path", "path", "endpoint"),
    [
        ("/gateway/llm/", "/gateway/llm/v1/messages", "/v1/messages"),
        ("/gateway/llm", "/gateway/llm/chat/completions", "/v1/chat/completions"),
        ("/gateway/llm", "/elsewhere/v1/messages", "other"),
        ("/gateway/llm", "/v1/messages", "/v1/messages"),
        ("/v1", "/v1beta/messages", "other"),
        ("/v1/", "/v1/messages", "/v1/messages"),
        ("/openai", "/openai/deployments/gpt-5/embeddings", "/v1/embeddings"),
    ],
)
def test_the_path_of_the_base_url_is_removed(base_path: str, path: str, endpoint: str):
    assert Endpoints(base_path).name(path) == endpoint


@pytest.mark.parametrize(
    ("base_path", "path", "endpoint"),
    [
        ("/gateway/two/v1/", "/gateway/two/v1/embeddings", "/v1/embeddings"),
        ("/gateway/two", "/gateway/one/v1/embeddings", "other"),
        ("", "/gateway/one/v1/embeddings", "other"),
        ("/v1", "/gateway/one/v1/embeddings", "other"),
        ("", "/v1/embeddings", "/v1/embeddings"),
        ("/v1/threads/1", "/v1/threads/1/messages", "/v1/messages"),
        ("/v1", "/v1/threads/1/messages", "/v1/threads/:id/messages"),
    ],
)
def test_the_base_path_at_the_time_of_the_request_takes_precedence(base_path, path, endpoint):
    assert Endpoints("/gateway/one/v1").name(path, base_path) == endpoint


def test_templates_of_the_project_take_precedence():
    endpoints = Endpoints("", ["/items/:number", "/items", "/v1/files/:file"])

    assert endpoints.name("/items/7") == "/items/:number"
    assert endpoints.name("/items?page=2") == "/items"
    assert endpoints.name("/v1/files/7") == "/v1/files/:file"
    assert endpoints.name("/items/7/parts") == "other"


def test_a_template_without_a_leading_slash_is_rejected():
    with pytest.raises(ValueError, match="should start with a slash; got 'items'"):
        Endpoints("", ["items"])


def test_any_number_of_paths_has_a_bounded_number_of_endpoints():
    chance = random.Random(7)  # noqa: S311  # Nothing is kept secret by it.
    words = sorted({part for template in API_PATHS for part in template.split("/")})
    endpoints = Endpoints("/v1")

    def part() -> str:
        if chance.random() < 0.6:
            return chance.choice(words)
        return "".join(chance.choices(string.printable, k=chance.randrange(9)))

    paths = ("/" + "/".join(part() for _ in range(chance.randrange(6))) for _ in range(50_000))
    names = {endpoints.name(path) for path in paths}

    assert names <= {f"/v1{template}" for template in API_PATHS} | {"other"}


def test_every_template_matches_itself():
    wrong = {
        template: name
        for template in API_PATHS
        if (name := Endpoints().name("/v1" + template.replace(":id", "x-1"))) != f"/v1{template}"
    }

    assert wrong == {}


def test_templates_may_end_in_a_slash():
    endpoints = Endpoints(templates=["/items", "/items/", "/items/:id/"])

    assert endpoints.name("/items") == "/items"
    assert endpoints.name("/items/") == "/items/"
    assert endpoints.name("/items/7/") == "/items/:id/"
    assert endpoints.name("/items//") == "other"
