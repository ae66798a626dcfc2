"""The metrics endpoint as a view, for the URLconf."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from tachikoma_metrics.http.current_request import discard_current
from tachikoma_metrics.page.response import respond


@csrf_exempt
@login_not_required
@non_atomic_requests
def metrics(request: HttpRequest) -> HttpResponseBase:
    """Answer a scrape, which is not measured itself.

    The view is exempt from ``LoginRequiredMiddleware``, as a scraper has no session, and from
    ``CsrfViewMiddleware``, so that the answer to a POST says that only GET is allowed. With
    ``ATOMIC_REQUESTS`` no transaction is begun for it: a scrape does not need one.
    """
    discard_current()
    return respond(request)
