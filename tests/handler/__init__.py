"""Tests of the room `handler`."""
