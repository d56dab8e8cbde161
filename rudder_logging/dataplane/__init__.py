"""A RudderStack data plane for tests and local work: real HTTP, the gateway's rules, no account.

    with LocalDataPlane(write_key="test") as plane:
        ...  # log events to plane.url
        events = plane.wait_for(3)

Requests come in over loopback; out go the gateway's answers, and the inbox keeps the events. Needs
the extra `dataplane`.

- `server.py`: `LocalDataPlane`; `protocol.py`: HTTP/1.1
- `faults.py`: faults on command
- `gateway.py`: the gateway's rules; `documents.py`: JSON as it reads it
- `dialects.py`: the words of servers by version; `responses.py`: the answers
- `regulations.py`: RudderStack's API for people who are to be forgotten
- `inbox.py`: the events that arrived
- `live/`: the same with a page that shows what arrives
"""

from __future__ import annotations

try:
    import h11  # noqa: F401 - to say what is missing in our words
except ImportError as error:  # pragma: no cover - the tests install it; a subprocess shows this
    raise ImportError(
        "rudder_logging.dataplane needs an extra: pip install 'rudder-logging[dataplane]'"
    ) from error

from .faults import Fault
from .inbox import ReceivedRequest
from .server import LocalDataPlane

__all__ = ["Fault", "LocalDataPlane", "ReceivedRequest"]
