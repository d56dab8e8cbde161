"""Checks of events beyond what the server refuses, for tools and tests."""
