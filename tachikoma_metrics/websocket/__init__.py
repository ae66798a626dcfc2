"""WebSocket connections and their messages."""
