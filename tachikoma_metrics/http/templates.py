"""Responses by the template that renders them, as far as a view returns ``TemplateResponse``.

Django calls ``process_template_response`` of middleware for those alone, before it renders them.

https://docs.djangoproject.com/en/stable/topics/http/middleware/#process-template-response
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.template import TemplateDoesNotExist

from tachikoma_metrics.catalogue.labels import OTHER
from tachikoma_metrics.conf import config
from tachikoma_metrics.recording.events import TEMPLATE_RESPONSE
from tachikoma_metrics.registry import METRICS


def count_template(middleware: object, request: HttpRequest, response: Any) -> Any:
    """Count ``response``, and return it; a method ``process_template_response``."""
    try:
        if config().counts_templates and not config().excludes(request.path_info):
            TEMPLATE_RESPONSE.record_valid((_name_of(response),), (1.0,))
    except Exception as error:
        METRICS.count_error("http", error)
    return response


async def count_template_async(middleware: object, request: HttpRequest, response: Any) -> Any:
    """Count ``response`` as ``count_template`` does, without another thread."""
    return count_template(middleware, request, response)


def _name_of(response: Any) -> str:
    template = response.template_name
    if isinstance(template, (list, tuple)):
        if len(template) == 1:
            return str(template[0])
        try:
            # The first of them that exists; Django looks it up again to render it.
            template = response.resolve_template(template)
        except TemplateDoesNotExist:
            return OTHER
    if isinstance(template, str):
        return template
    return str(getattr(getattr(template, "template", template), "name", None) or OTHER)
