"""HTTP requests: what the middleware measures of each."""
