"""The relay: it takes messages out of an engine and has delivery send them to the gateway.

In come the messages that many processes have appended; out they go in batches, each user's in
order, and leave the engine when the gateway has them. Relays share a source's shards among them.

- `source.py`: the seam to the relay's lanes, `Source`, and who makes one for a URL
- `engine.py`: the seam to an engine with leases, `Engine`; `memory.py`: one in memory
- `redis_engine.py`: one over Redis; `redis_scripts.py`: its atomic steps
- `leased.py`: the source over such an engine, with its thread
- `handout.py`: the same without threads and sockets: what to ask of the engine, and when
- `kafka_source.py`: the source over Kafka, with its thread; `kafka_partitions.py`: what of its
  partitions is handed out; `kafka_lag.py`: what is not committed
- `coordinator.py`: which shards are this relay's; `batches.py`: from entries to messages
- `process.py`: the process, with many sources; `feed.py`: one source's way through it
- `lanes.py`: threads that deliver; `turns.py`: their waits; `accounts.py`: counts and reports
- `keys.py`: write keys; `engine_trouble.py`: an engine that fails; `lag_reader.py`: what waits
  in it; `naming.py`: the source that a log line is about
- `look.py`: a look at an engine from outside; `redis_look.py`, `kafka_look.py`: at Redis and
  Kafka; `redis_commands.py`: what users of Redis have to be allowed
- `forgetting.py`: persons who are to be forgotten, from outside; `redis_tombstones.py`: in Redis
- `health.py`, `metrics.py` and `status_server.py`: how it goes, over HTTP
"""

from __future__ import annotations
