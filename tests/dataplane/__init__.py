"""Tests of the room `dataplane`."""
