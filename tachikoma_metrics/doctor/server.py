"""What the metrics endpoint of a running server says."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

from tachikoma_metrics import conf
from tachikoma_metrics.doctor import exposition, scraping
from tachikoma_metrics.doctor.findings import ERROR, OK, WARNING, Finding
from tachikoma_metrics.doctor.refusals import ENDPOINT, check_the_path, of_refusal
from tachikoma_metrics.doctor.service import of_samples
from tachikoma_metrics.exposition.parse import parse_text
from tachikoma_metrics.page import bearer_tokens
from tachikoma_metrics.version import __version__

_LONGEST_VERSION = 100


def of_server(
    url: str, token: str = "", seconds: float = scraping.TIMEOUT_SECONDS
) -> Iterator[Finding]:
    """Yield what the metrics endpoint of a running server says.

    Without a ``token``, the first of those in ``TOKENS`` is sent. It is sent to the host of the
    URL only, and redirects are not followed.
    """
    token = token or next(iter(bearer_tokens.readable(conf.config())), "")
    try:
        response = scraping.scrape(url, token, seconds)
    except scraping.ScrapeFailed as error:
        yield Finding(ENDPOINT, ERROR, str(error), error.hint)
        return
    if response.status == HTTPStatus.OK:
        yield from _of_body(response)
    else:
        yield of_refusal(response, has_token=bool(token))


def _of_body(response: scraping.Response) -> Iterator[Finding]:
    try:
        samples = parse_text(response.body)
    except Exception:
        # The parser raises various exceptions for what is no exposition.
        message = "The response is not in the Prometheus text format."
        yield Finding(ENDPOINT, ERROR, message, check_the_path())
        return
    versions = list(exposition.by_label(samples, "tachikoma_metrics_info", "version"))
    if not versions:
        message = "The endpoint is not that of tachikoma_metrics: it has no tachikoma_metrics_info."
        yield Finding(ENDPOINT, ERROR, message, check_the_path())
        return
    yield _of_version(versions)
    yield exposition.of_cost(response.seconds, len(response.body))
    yield from of_samples(samples)


def _of_version(versions: list[str]) -> Finding:
    if versions == [__version__]:
        return Finding(ENDPOINT, OK, f"Endpoint serves tachikoma_metrics {__version__}.")
    served = ", ".join(sorted(versions))[:_LONGEST_VERSION]
    return Finding(
        ENDPOINT,
        WARNING,
        f"Endpoint serves tachikoma_metrics {served}, but {__version__} is installed here.",
        "Restart the server.",
    )
