"""Tests of `rudder_logging.privacy`."""
