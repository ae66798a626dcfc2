"""The ASGI middleware that measures WebSocket connections.

It does not need Channels: any ASGI 3 application can be wrapped. Scopes other than WebSockets
pass through unchanged, such as the requests that Django serves.

https://asgi.readthedocs.io/en/latest/specs/www.html#websocket
"""

from __future__ import annotations

from typing import Any

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import config
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.runtime.event_loops import probe_serving_loop
from tachikoma_metrics.websocket.connection import (
    Application,
    Connection,
    Receive,
    Send,
    is_measured,
)


class WebSocketMetricsMiddleware:
    """Measure the WebSocket connections of an ASGI application.

    It must be outermost, or wrap the part of the application that serves WebSockets. Messages
    and exceptions pass through unchanged::

        application = WebSocketMetricsMiddleware(ProtocolTypeRouter({...}))
    """

    def __init__(self, app: Application) -> None:
        self.app = app
        try:
            METRICS.activate(catalogue.RECORDED_BY_WEBSOCKETS)
        except Exception as error:
            METRICS.count_error("websocket", error)

    # Servers recognise ASGI 3 by a coroutine function:
    # https://asgi.readthedocs.io/en/latest/specs/main.html#applications
    async def __call__(self, scope: Any, receive: Receive, send: Send) -> Any:
        """Serve a connection with the application, and measure it."""
        if scope["type"] != "websocket" or not config().enabled or is_measured(receive):
            return await self.app(scope, receive, send)
        probe_serving_loop()
        connection = Connection(receive, send)
        try:
            try:
                result = await self.app(scope, connection.receive, connection.send)
                connection.finish(None)
                return result
            except BaseException as error:
                connection.finish(error)
                raise
        except BaseException:
            # A signal handler may raise while another exception is handled.
            connection.discard()
            raise
