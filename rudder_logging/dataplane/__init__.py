"""A RudderStack data plane for tests and local work: real HTTP, the gateway's rules, no account.

    with LocalDataPlane(write_key="test") as plane:
        ...  # log events to plane.url
        events = plane.wait_for(3)

Needs the extra `dataplane`.
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
