"""Tests of the seven calls, of clients and of the package's settings."""
