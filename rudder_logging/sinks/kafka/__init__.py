"""The sink of Kafka: messages go to a topic, from which relays deliver them.

- `address.py`: from a URL to brokers, a topic, and settings of librdkafka's
- `client.py`: its clients in this process: their log, and a fork
- `producing.py`: a producer, and what it reports
- `errors.py`, `outcomes.py`: from the library's errors to an outcome
- `sink.py`: sendings
"""

from __future__ import annotations

from .sink import KafkaSink

__all__ = ["KafkaSink"]
