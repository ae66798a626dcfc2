"""The metrics endpoint: which clients may read it, its response, and the worker's own server."""
