"""Sinks: the only rooms that open a connection.

In comes a batch of messages; out goes one upload, and back comes its answer or an error. Waiting
and trying again are delivery's business.

- `gateway/`: RudderStack's gateway, over HTTP
"""
