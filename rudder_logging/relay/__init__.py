"""The relay: it takes messages out of an engine and has delivery send them to the gateway.

In come the messages that many processes have appended; out they go in batches, each user's in
order, and leave the engine when the gateway has them. Relays share a source's shards among them.

- `source.py`: the seam, `Source`, and who makes one for a URL
"""

from __future__ import annotations
