"""Metrics of WebSocket connections and their messages."""

from __future__ import annotations

from tachikoma_metrics.catalogue.definitions import Buckets, Counter, Gauge, Histogram, Label

SOCKET_BUCKETS: Buckets = (1, 5, 15, 60, 300, 900, 3600, 14400)

MESSAGE_TYPE = Label(
    "message_type",
    "`text`, `binary`, a type of `WS_MESSAGE_TYPES`, `other`, or `invalid` for text that is no "
    "JSON object with a `type`.",
    is_closed=True,
)
REASON = Label(
    "reason",
    "`closed` or `denied` by the app, `left` by the client, or `error`.",
    is_closed=True,
)
CLOSE_CODE = Label(
    "code", "The close code if it is one of `1000` to `1015`, else `other`.", is_closed=True
)

MIDDLEWARE = "`WebSocketMetricsMiddleware`"
"""Records all of these metrics."""

WS_CONNECTIONS = Counter(
    "ws_connections_total", "WebSocket connections accepted.", recorded_by=MIDDLEWARE
)
WS_CONNECTIONS_CURRENT = Gauge(
    "ws_connections_current", "WebSocket connections currently open.", recorded_by=MIDDLEWARE
)
WS_MESSAGES_RECEIVED = Counter(
    "ws_messages_received_total",
    "WebSocket messages received from clients.",
    (MESSAGE_TYPE,),
    recorded_by=MIDDLEWARE,
)
WS_MESSAGES_SENT = Counter(
    "ws_messages_sent_total",
    "WebSocket messages sent to clients.",
    (MESSAGE_TYPE,),
    recorded_by=MIDDLEWARE,
)
WS_CONNECTION_DURATION = Histogram(
    "ws_connection_duration_seconds",
    "Seconds a WebSocket connection stayed open.",
    buckets=SOCKET_BUCKETS,
    opt_in=True,
    recorded_by=MIDDLEWARE,
)
WS_CONNECTIONS_REJECTED = Counter(
    "ws_connections_rejected_total",
    "WebSocket connections that ended before they were accepted.",
    (REASON,),
    opt_in=True,
    recorded_by=MIDDLEWARE,
)
WS_DISCONNECTS = Counter(
    "ws_disconnects_total",
    "WebSocket connections closed after they were accepted.",
    (CLOSE_CODE,),
    opt_in=True,
    recorded_by=MIDDLEWARE,
)
