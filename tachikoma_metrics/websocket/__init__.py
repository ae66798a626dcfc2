"""WebSocket connections and their messages: what the ASGI middleware measures."""
