"""Sinks: the only rooms that open a connection.

In comes a batch of messages; out it goes over the network, and back comes an outcome. Waiting and
trying again are delivery's business.

- `base.py`: the protocol of all sinks, and the outcomes
- `gateway/`: RudderStack's gateway, over HTTP
"""
