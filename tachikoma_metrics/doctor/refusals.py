"""What to do about a response of the metrics endpoint that is not an exposition."""

from __future__ import annotations

from http import HTTPStatus

from tachikoma_metrics import conf
from tachikoma_metrics.doctor.findings import ERROR, Finding
from tachikoma_metrics.doctor.scraping import Response

ENDPOINT = "endpoint"

_LONGEST_QUOTE = 300

_HINTS: dict[int, str] = {
    401: "Give one of the server's TOKENS in a file, with --token-file, or in the environment "
    "variable TACHIKOMA_METRICS_TOKEN.",
    403: "Scrape from an address in the server's ALLOWED_NETWORKS, or set TOKENS.",
    503: "Try again: this state is temporary. If it stays, check the proxy in front of the server.",
}

HINTS_BY_REASON: dict[str, str] = {
    "PERMISSION rejected": "The server's PERMISSION returned something other than True, or "
    "raised, which the server's log reports. Networks and tokens have admitted this request.",
    "access setting is invalid": "Run `manage.py check` where the server runs.",
    "could not be decided": "The server's log has the exception.",
    "have counted cannot be read": "The worker processes share no directory: run `manage.py check` "
    "where the server runs. Totals of one of them alone would appear to fall.",
    "cannot be read": "Try again. If the response stays, fix what the message says: raise the "
    "limit of open files, or give the directory room. Incomplete totals would appear to fall.",
    "too many connections": "Try again: WORKER_PORT serves sixteen connections at a time.",
}
"""What to do about a response 403 or 503 whose body has such a part; the first match is used."""


def of_refusal(response: Response, has_token: bool) -> Finding:
    """Return the finding about a response that is not 200, with the remedy."""
    if response.location:
        return Finding(
            ENDPOINT,
            ERROR,
            f"The endpoint responds with {response.status}, a redirect to "
            f"{response.location[:_LONGEST_QUOTE]}",
            "Scrape that URL, if it is that of the metrics endpoint. Redirects are not followed, "
            "so that a token is sent to no other host.",
        )
    reason = response.body.strip().partition("\n")[0]
    message = f"The endpoint responds with {response.status}: {reason[:_LONGEST_QUOTE]}"
    return Finding(ENDPOINT, ERROR, message, _hint_for(response.status, reason, has_token))


def _hint_for(status: int, reason: str, has_token: bool) -> str:
    hint = _HINTS.get(status, check_the_path())
    if status in (HTTPStatus.FORBIDDEN, HTTPStatus.SERVICE_UNAVAILABLE):
        return next((its for part, its in HINTS_BY_REASON.items() if part in reason), hint)
    if status == HTTPStatus.UNAUTHORIZED and has_token:
        return f"The server rejects the token that was sent. {hint}"
    return hint


def check_the_path() -> str:
    """Return the hint for a URL at which there is no metrics endpoint."""
    path = conf.config().path
    where = "PATH is None, so the URLconf defines it" if path is None else f"PATH is {path}"
    return f"Check the path of the URL; {where}."
