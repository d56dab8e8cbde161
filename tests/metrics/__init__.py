"""Tests of the metrics, and of the files that show them."""
