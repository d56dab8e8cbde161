"""Tests of `rudder-logging migrate`, over programs of other people's."""
