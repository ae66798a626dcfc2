"""The views of the live page: the page, its files and its data; all of them only read."""

from __future__ import annotations

import functools
import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template import Context, Engine
from django.views.decorators.csrf import csrf_exempt

from tachikoma_metrics.exposition import accepts_gzip
from tachikoma_metrics.http.current_request import discard_current
from tachikoma_metrics.live import assets
from tachikoma_metrics.live.access import refusal
from tachikoma_metrics.live.findings import findings
from tachikoma_metrics.live.metric_search import metrics, series
from tachikoma_metrics.live.report import WINDOWS, plots, report
from tachikoma_metrics.live.sampler import SAMPLER, history
from tachikoma_metrics.live.shared import Shared
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import Incomplete

SECONDS_BETWEEN_POLLS = 2.0
# Less: a poll that comes a little early would show the same as the one before.
_SECONDS_SHARED = 1.7
_SECONDS_BETWEEN_FINDINGS = 60.0
_METHODS = ("GET", "HEAD")
_COMPRESSION_LEVEL = 1
_SMALLEST_COMPRESSED = 1000

HEADERS = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_ASSET_HEADERS = {**HEADERS, "Cache-Control": "private, max-age=31536000, immutable"}

View = Callable[..., HttpResponse]


def _only_for_viewers(view: View, *, leads_to_login: bool = False) -> View:
    """Answer GET and HEAD of users who may see the page; the request itself is not measured.

    A visitor without a login gets 403, or is redirected if the view ``leads_to_login``.
    """

    @csrf_exempt
    @login_not_required
    @non_atomic_requests
    @functools.wraps(view)
    def answer(request: HttpRequest, **arguments: Any) -> HttpResponse:
        discard_current()
        if request.method not in _METHODS:
            response = _text("Method Not Allowed: use GET or HEAD.\n", 405)
            response.headers["Allow"] = ", ".join(_METHODS)
            return response
        refused = refusal(request)
        if refused is None:
            return view(request, **arguments)
        if refused.login_url and leads_to_login:
            return HttpResponseRedirect(refused.login_url, headers=HEADERS)
        return _text(refused.body, 403)

    return answer


def _page(request: HttpRequest) -> HttpResponse:
    files = {name.replace(".", "_"): asset.name for name, asset in assets.assets().items()}
    text = _template().render(
        Context(
            {
                "files": files,
                "base": _base(request.path),
                "service": _service(),
                # As text: a template writes numbers in the language of the request.
                "windows": {str(seconds): f"{seconds // 60} min" for seconds in WINDOWS},
                "poll_seconds": str(SECONDS_BETWEEN_POLLS),
            }
        )
    )
    return _compressed(request, text.encode(), "text/html; charset=utf-8", HEADERS)


def _base(path: str) -> str:
    """Return what a relative URL of the page begins with: right below any path of a proxy, too."""
    name = path.rpartition("/")[2]
    # Before a colon, a name without the dot would be a scheme.
    return f"./{quote(name)}" if name else ""


@functools.lru_cache(1)
def _template() -> Any:
    # Whatever template engines the project has.
    return Engine(dirs=[str(Path(__file__).parent / "templates")]).get_template("live.html")


def _service() -> str:
    module = str(getattr(settings, "SETTINGS_MODULE", None) or "")
    return module.partition(".")[0] or "Django"


def _asset(request: HttpRequest, name: str) -> HttpResponse:
    found = assets.find(name)
    if found is None:
        return _text("Not Found: reload the page, which is of another version.\n", 404)
    headers = {**_ASSET_HEADERS, "Vary": "Accept-Encoding"}
    content = found.content
    if accepts_gzip(request.headers.get("Accept-Encoding", "")):
        content, headers["Content-Encoding"] = found.compressed, "gzip"
    return HttpResponse(content, content_type=found.content_type, headers=headers)


def _data(request: HttpRequest) -> HttpResponse:
    window = _number(request.GET.get("window"), WINDOWS[1])
    since = _number(request.GET.get("since"), 0.0)
    answer = _ANSWERS.get(int(window), _ANSWERS[WINDOWS[1]]).text()
    rows = json.dumps(plots(history(), since), separators=(",", ":"))
    return _json(request, f'{{"now":{answer},"history":{rows}}}')


def _report(window: int) -> str:
    totals, readings = SAMPLER.reader.read()
    return json.dumps(report(totals, readings, history(), window), separators=(",", ":"))


def _findings(request: HttpRequest) -> HttpResponse:
    return _json(request, _FINDINGS.text())


def _metrics(request: HttpRequest) -> HttpResponse:
    return _json(request, _METRICS.text())


def _metric(request: HttpRequest) -> HttpResponse:
    found = series(request.GET.get("name", ""), request.GET.get("type", ""))
    return _json(request, json.dumps(found))


_ANSWERS = {
    window: Shared(f"view-{window}", _SECONDS_SHARED, functools.partial(_report, window))
    for window in WINDOWS
}
_FINDINGS = Shared("findings", _SECONDS_BETWEEN_FINDINGS, lambda: json.dumps(findings()))
_METRICS = Shared("metrics", _SECONDS_BETWEEN_FINDINGS, lambda: json.dumps(metrics()))


def _answered(view: View) -> View:
    """Answer 503 while the values of a process cannot be read, as the metrics endpoint does."""

    @functools.wraps(view)
    def answer(request: HttpRequest, **arguments: Any) -> HttpResponse:
        try:
            return view(request, **arguments)
        except Incomplete as error:
            return _text(f"Service Unavailable: {error}\n", 503)
        except Exception as error:
            METRICS.count_error("live", error)
            return _text("Internal Server Error: see the server log.\n", 500)

    return answer


page = _only_for_viewers(_page, leads_to_login=True)
asset = _only_for_viewers(_asset)
data = _only_for_viewers(_answered(_data))
doctor = _only_for_viewers(_answered(_findings))
metric_list = _only_for_viewers(_answered(_metrics))
metric = _only_for_viewers(_answered(_metric))


def _number(text: str | None, default: float) -> float:
    try:
        number = float(text or default)
    except ValueError:
        return default
    return number if math.isfinite(number) else default


def _json(request: HttpRequest, text: str) -> HttpResponse:
    return _compressed(request, text.encode(), "application/json", HEADERS)


def _compressed(
    request: HttpRequest, body: bytes, content_type: str, headers: dict[str, str]
) -> HttpResponse:
    headers = {**headers, "Vary": "Accept-Encoding, Cookie"}
    is_accepted = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    if is_accepted and len(body) >= _SMALLEST_COMPRESSED:
        body = gzip.compress(body, _COMPRESSION_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return HttpResponse(body, content_type=content_type, headers=headers)


def _text(body: str, status: int) -> HttpResponse:
    content_type = "text/plain; charset=utf-8"
    return HttpResponse(body, status=status, content_type=content_type, headers=HEADERS)
