"""The page for the URLconf."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from tachikoma_metrics.measurement import discard_current
from tachikoma_metrics.page import respond


@csrf_exempt
@login_not_required
def metrics(request: HttpRequest) -> HttpResponseBase:
    """Answer a scrape, which is not measured itself.

    ``LoginRequiredMiddleware`` lets it pass, for a scraper has no session, and so does
    ``CsrfViewMiddleware``, so that whoever posts here is told that only GET is allowed.
    """
    discard_current()
    return respond(request)
