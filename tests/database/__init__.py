"""Unit tests of ``database``; those that need a server are in ``tests/databases``."""
