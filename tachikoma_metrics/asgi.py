"""The ASGI middleware that measures WebSocket connections.

It needs no Channels: any ASGI 3 application can be wrapped, and whatever is not a
WebSocket goes straight through, as Django's own part of the application does.

https://asgi.readthedocs.io/en/latest/specs/www.html#websocket
"""

from __future__ import annotations

from typing import Any

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import config
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.websocket.connection import (
    Application,
    Connection,
    Receive,
    Send,
    is_measured,
)


class WebSocketMetricsMiddleware:
    """Measure the WebSocket connections of an ASGI application.

    Belongs outermost, or round what answers WebSockets. The application gets the
    messages, and the server the exceptions, that they would get without it::

        application = WebSocketMetricsMiddleware(ProtocolTypeRouter({...}))
    """

    def __init__(self, app: Application) -> None:
        self.app = app
        try:
            METRICS.activate(catalogue.RECORDED_BY_WEBSOCKETS)
        except Exception as error:
            METRICS.count_error("websocket", error)

    # Servers tell ASGI 3 by this being a coroutine function:
    # https://asgi.readthedocs.io/en/latest/specs/main.html#applications
    async def __call__(self, scope: Any, receive: Receive, send: Send) -> Any:
        """Answer a connection as the application does."""
        if scope["type"] != "websocket" or not config().enabled or is_measured(receive):
            return await self.app(scope, receive, send)
        connection = Connection(receive, send)
        try:
            try:
                answer = await self.app(scope, connection.receive, connection.send)
                connection.finish(None)
                return answer
            except BaseException as error:
                connection.finish(error)
                raise
        except BaseException:
            # An exception from outside may come where another is handled.
            connection.discard()
            raise
