"""The queues, all held to one contract."""
