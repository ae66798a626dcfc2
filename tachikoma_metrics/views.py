"""The page for the URLconf."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase

from tachikoma_metrics.measurement import discard
from tachikoma_metrics.page import respond


@login_not_required
def metrics(request: HttpRequest) -> HttpResponseBase:
    """Answer a scrape, which is not measured itself.

    ``LoginRequiredMiddleware`` lets it pass: a scraper has no session.
    """
    discard(request)
    return respond(request)
