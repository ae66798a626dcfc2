"""The row of WebSocket connections and messages."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import (
    THIRD,
    Panel,
    Row,
    by_instance,
    quantiles,
    rate,
)

WEBSOCKET = Row(
    "WebSocket",
    (
        Panel(
            "Open connections",
            "WebSockets open now.",
            by_instance("ws_connections_current"),
            is_stacked=True,
        ),
        Panel(
            "Accepted connections",
            "A high rate beside a flat number of open ones is clients that come again and again.",
            rate("ws_connections_total", legend="accepted"),
            "cps",
        ),
        Panel(
            "Messages received",
            "From clients, by type.",
            rate("ws_messages_received_total", "message_type", "{{message_type}}"),
            "mps",
            is_stacked=True,
        ),
        Panel(
            "Messages sent",
            "To clients, by type.",
            rate("ws_messages_sent_total", "message_type", "{{message_type}}"),
            "mps",
            is_stacked=True,
        ),
        Panel(
            "How long connections last",
            "Of those that ended. Many that end after the same time are cut by a proxy's timeout.",
            quantiles("ws_connection_duration_seconds"),
            "s",
            width=THIRD,
        ),
        Panel(
            "Refused connections",
            "Not accepted: closed or denied by the app, left by the client, or an error.",
            rate("ws_connections_rejected_total", "reason", "{{reason}}"),
            "cps",
            width=THIRD,
        ),
        Panel(
            "Close codes",
            "1000 and 1001 are ordinary; 1006 is a connection that broke, 1011 an app that did.",
            rate("ws_disconnects_total", "code", "{{code}}"),
            "cps",
            width=THIRD,
        ),
    ),
)
