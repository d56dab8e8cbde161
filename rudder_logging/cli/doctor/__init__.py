"""`rudder-logging doctor`: would events leave, would they arrive, and what stops them if not.

In comes an app's logging configuration, or a file of events; out go findings, each with a cure.
No event is sent: only an empty batch, which stores nothing.

- `command.py`: the flags, and the order of the round
- `configuration.py`: the app's configuration, put in force
- `visit.py`: the round: which loggers to ask about, and what else to look at
- `passage.py`: an event's way from a logger to its handlers; `tree.py`: the tree that it goes by;
  `probes.py`: the records that filters are asked about; `remarks.py`: what stops nothing
- `network.py`: from here to the data plane; `disk.py`: spool and dead letters
- `relay.py`: from here to a relay's engine; `relay_redis.py`: Redis;
  `relay_kafka.py`: Kafka
- `messages.py`: events in a file; `privacy.py`: the option of that name
- `django_app.py`: the settings of an app of Django's
- `integrations.py`: frameworks without their integration; `asgi.py`: ASGI apps and uvicorn
- `process.py`: the process and its server, which neither the tree nor a configuration shows
- `findings.py`: what all of them yield; `report.py`: how it is printed
"""

from __future__ import annotations

from .command import doctor

__all__ = ["doctor"]
