from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

import httpx
import pytest
import requests
from django.test import override_settings

from tachikoma_metrics.backends import instrument_client
from tests.backends import _base_client
from tests.backends.measured_clients import (
    CHAT,
    CLIENT_OPTIONS,
    IN_PROGRESS,
    Holder,
    async_client_of,
    client_of,
    counted,
    each_library,
    timed,
)
from tests.origins import Origin


def test_a_client_is_found_in_the_objects_that_hold_it(origin: Origin):
    with httpx.Client(trust_env=False) as client:
        holder = Holder(_client=Holder(client=client), base_url=httpx.URL(origin.url + "/gate/v9"))

        assert instrument_client(holder, backend="openai") is holder
        client.get(origin.url + "/gate/v9/chat/completions")

    assert counted() == {CHAT: 1}


@each_library
def test_a_base_url_may_be_set_later(library: ModuleType, origin: Origin):
    with client_of(library) as client:
        for path in ("/one/v9/", "/two/v9/"):
            client.base_url = origin.url + path
            client.get("chat/completions")
        client.get(origin.url + "/one/v9/chat/completions")

    assert counted() == {CHAT: 2, "other": 1}


@each_library
async def test_a_base_url_of_an_async_client_may_be_set_later(library: ModuleType, origin: Origin):
    async with async_client_of(library) as client:
        client.base_url = origin.url + "/one/v9/"
        await client.get("chat/completions")

    assert counted() == {CHAT: 1}


def test_a_session_may_have_a_base_url(origin: Origin):
    class BaseUrlSession(requests.Session):
        base_url = ""

        def request(self, method, url, *args, **kwargs):
            return super().request(method, self.base_url + url, *args, **kwargs)

    with instrument_client(BaseUrlSession(), "search") as session:
        session.trust_env = False
        session.base_url = origin.url + "/gate/v9"
        session.get("/chat/completions")

    assert counted() == {CHAT: 1}


def test_the_base_url_of_the_sending_sdk_client_is_used(origin: Origin):
    with client_of(httpx) as http:
        _base_client.Client(http, origin.url + "/one/v9").send("/chat/completions")
        _base_client.Client(http, origin.url + "/v1/threads/1").send("/messages")
        _base_client.Client(http, origin.url).send("/v1/threads/1/messages")

    assert counted() == {CHAT: 1, "/v1/messages": 1, "/v1/threads/:id/messages": 1}


def test_the_base_url_of_an_sdk_client_that_waits_for_another_client_is_ignored(origin: Origin):
    with httpx.Client(**CLIENT_OPTIONS) as other, client_of(httpx) as http:
        waiting = _base_client.Client(other, origin.url + "/v1/threads/1")
        waiting.wait(lambda: http.get(origin.url + "/v1/threads/1/messages"))

    assert counted() == {"/v1/threads/:id/messages": 1}


async def test_a_sync_and_an_async_client_in_one_object_are_both_measured(origin: Origin):
    with httpx.Client(**CLIENT_OPTIONS) as sync:
        async with httpx.AsyncClient(**CLIENT_OPTIONS) as other:
            resource = Holder(_client=Holder(_client=sync, base_url=httpx.URL(origin.url + "/a/")))
            root = Holder(_client=other, base_url=httpx.URL(origin.url + "/b/"))
            model = Holder(
                client=resource, async_client=Holder(_client=root), root_async_client=root
            )

            assert instrument_client(model, "openai") is model
            await asyncio.to_thread(sync.get, origin.url + "/a/chat/completions")
            await other.get(origin.url + "/b/chat/completions")

    assert counted() == {CHAT: 2}


@pytest.mark.parametrize("name", ["async_client", "_async_client", "_aclient", "root_async_client"])
def test_an_object_that_also_holds_an_unknown_client_is_rejected(name: str, origin: Origin):
    with httpx.Client(**CLIENT_OPTIONS) as client:
        holder = Holder(client=client, **{name: object()})
        with pytest.raises(TypeError, match=f"{name}, a object.*track_backend_request"):
            instrument_client(holder, "openai")
        client.get(origin.url + CHAT)

    assert counted() == {}


def test_a_client_that_a_property_creates_is_measured(origin: Origin):
    class Lazy:
        @functools.cached_property
        def _client(self) -> Any:
            return httpx.Client(**CLIENT_OPTIONS)

        @functools.cached_property
        def _async_client(self) -> Any:
            raise RuntimeError("There is no key for it.")

    lazy = instrument_client(Lazy(), "openai")
    with lazy._client as client:
        client.get(origin.url + CHAT)

    assert counted() == {CHAT: 1}


def test_an_upstream_api_may_have_further_endpoints(origin: Origin):
    with httpx.Client(trust_env=False) as client:
        instrument_client(client, "search", endpoints=["/items/:number"])
        client.get(origin.url + "/items/7?q=1")
        client.get(origin.url + "/parts/7")

    assert counted() == {"/items/:number": 1, "other": 1}


@pytest.mark.parametrize(
    "client", [None, object(), "openai", httpx.Client, Holder(_client=Holder()), httpx, 7]
)
def test_an_unknown_client_is_rejected(client: object):
    with pytest.raises(TypeError, match=r"should be a client of httpx.*track_backend_request"):
        instrument_client(client, "openai")


def test_an_object_that_refers_to_itself_is_rejected():
    client = Holder()
    client._client = client

    with pytest.raises(TypeError, match="got Holder"):
        instrument_client(client, "openai")


@override_settings(TACHIKOMA_METRICS={"ENABLED": False})
def test_nothing_is_measured_where_metrics_are_disabled(origin: Origin):
    with client_of(httpx) as client:
        assert client.get(origin.url + CHAT).status_code == 200

    with override_settings(TACHIKOMA_METRICS=IN_PROGRESS):
        assert counted() == {}


def test_importing_needs_no_settings_and_no_sdk():
    code = (
        "import sys, tachikoma_metrics.backends.clients\n"
        "found = {'httpx', 'httpx2', 'requests', 'openai', 'anthropic'} & set(sys.modules)\n"
        "assert not found, found\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_requests_of_concurrent_threads_are_all_counted(origin: Origin):
    def work() -> None:
        for _ in range(20):
            client.get(origin.url + CHAT)

    with client_of(httpx) as client:
        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert (counted(), timed(), len(origin.seen)) == ({CHAT: 100}, 100, 100)
