"""Sinks: they take batches of messages over the network."""
