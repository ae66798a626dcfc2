"""The example as an ASGI application: Django and a WebSocket."""

from __future__ import annotations

import os
from typing import Any

from django.core.asgi import get_asgi_application

from tachikoma_metrics.asgi import WebSocketMetricsMiddleware

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tachikoma.settings")

django = get_asgi_application()

# get_asgi_application() has loaded the models.
from missions import sockets  # noqa: E402


async def route(scope: Any, receive: sockets.Receive, send: sockets.Send) -> None:
    """Serve the WebSocket here, and all other requests with Django."""
    if scope["type"] != "websocket":
        await django(scope, receive, send)
    elif scope["path"] == "/ws/missions/":
        await sockets.missions(receive, send)
    else:
        await receive()
        await send({"type": "websocket.close"})


application = WebSocketMetricsMiddleware(route)
