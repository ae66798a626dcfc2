"""The example project: a small Tachikoma server."""
