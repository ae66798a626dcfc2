"""Files that Django or the server reads and sends."""

from __future__ import annotations

import gc
from wsgiref.util import FileWrapper

import pytest

from tests.http.recorded import in_flight, requests, total
from tests.http.servers import serve


# Django makes a circle of such a file and its response, and leaves the file open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_that_the_server_fails_to_send_is_recorded():
    response = serve("/file/", **{"wsgi.file_wrapper": FileWrapper})
    assert in_flight() == 1
    del response
    gc.collect()
    serve("/hello/").close()

    assert requests() == {("GET", "/file/", "200"): 1, ("GET", "/hello/", "200"): 1}


def test_a_file_is_measured_where_django_reads_it():
    response = serve("/file/")
    size = len(b"".join(response))
    response.close()

    assert requests() == {("GET", "/file/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/file/") == size


def test_a_file_that_the_server_sends_is_not_wrapped():
    wrapped = serve("/file/", **{"wsgi.file_wrapper": FileWrapper})
    assert isinstance(wrapped, FileWrapper)
    size = len(b"".join(wrapped))
    wrapped.close()

    assert requests() == {("GET", "/file/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/file/") == size


def test_a_file_of_unknown_size_that_the_server_sends_has_no_recorded_size():
    wrapped = serve("/piped-file/", **{"wsgi.file_wrapper": FileWrapper})
    assert len(b"".join(wrapped)) == 500
    wrapped.close()

    assert requests() == {("GET", "/piped-file/", "200"): 1}
    assert total("http_response_size_bytes_count", "/piped-file/") in (0, None)
