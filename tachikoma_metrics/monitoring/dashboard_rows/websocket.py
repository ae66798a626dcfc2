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
            "Open WebSocket connections",
            "By instance.",
            by_instance("ws_connections_current"),
            is_stacked=True,
        ),
        Panel(
            "Accepted connections",
            "A high rate with a constant number of open connections is clients that reconnect.",
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
            "Connection duration",
            "Of connections that ended. Many of the same duration are closed by a proxy's timeout.",
            quantiles("ws_connection_duration_seconds"),
            "s",
            width=THIRD,
        ),
        Panel(
            "Rejected connections",
            "Not accepted: closed or denied by the app, closed by the client, or an error.",
            rate("ws_connections_rejected_total", "reason", "{{reason}}"),
            "cps",
            width=THIRD,
        ),
        Panel(
            "Close codes",
            "1000 and 1001 are normal; 1006 is a broken connection, 1011 an error of the app.",
            rate("ws_disconnects_total", "code", "{{code}}"),
            "cps",
            width=THIRD,
        ),
    ),
)
