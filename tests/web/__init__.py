"""Tests of `rudder_logging/web/`."""
