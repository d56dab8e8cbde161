"""Redis, or Valkey, as the engine of a relay: frames are appended to streams.

- `connecting.py`: from a URL to connections: one server, Sentinel's master, a cluster's nodes
- `link.py`: commands go out in one round trip, and an answer or a failure comes back for each
- `errors.py`: what an error means for messages, and its cure
- `keys.py`: the names of all keys; `scripts.py`: the steps that are atomic
- `source.py`: a source is made, with shards whose number stays
- `appending.py`: frames are stored once each, in their order; `sink.py`: the sink
- `forgetting.py`: people who are to be forgotten
"""

from __future__ import annotations

from .sink import RedisSink

__all__ = ["RedisSink"]
