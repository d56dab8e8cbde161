"""The relay: it takes messages out of an engine and has delivery send them to the gateway.

In come the messages that many processes have appended; out they go in batches, each user's in
order, and leave the engine when the gateway has them. Relays share a source's shards among them.

- `source.py`: the seam to the relay's lanes, `Source`, and who makes one for a URL
- `engine.py`: the seam to an engine with leases, `Engine`; `memory.py`: one in memory
"""

from __future__ import annotations
