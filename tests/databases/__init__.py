"""The tests of ``database`` that need a real database, run against each server in turn.

Unit tests are in ``tests/database``. This package is not within it because the settings of the
servers are named by their dotted path: ``--ds=tests.databases.postgresql``.
"""
