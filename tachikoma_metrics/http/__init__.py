"""HTTP requests: how the middleware measures each from its start to the end of its response."""
