"""Delivery: from waiting messages to their outcome."""
