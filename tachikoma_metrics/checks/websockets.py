"""The check that WebSockets are measured."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, register

from tachikoma_metrics import conf
from tachikoma_metrics.checks.messages import warning
from tachikoma_metrics.websocket import static_analysis


@register
def check_websockets_are_measured(**kwargs: Any) -> list[CheckMessage]:
    """W025: an ASGI application routes WebSockets, and no middleware wraps it."""
    if not conf.config().enabled:
        return []
    return [
        warning(
            "W025",
            f"'{module}' routes WebSockets that are not measured. The application must be wrapped "
            "in WebSocketMetricsMiddleware.",
            "Import it from tachikoma_metrics.asgi. Example: application = "
            "WebSocketMetricsMiddleware(ProtocolTypeRouter({...}))",
        )
        for module in conf.asgi_modules()
        if static_analysis.bypasses_middleware(module)
    ]
