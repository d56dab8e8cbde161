"""The process in which a task is done: told in JSON, it answers with a line of JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from .clients import CLIENTS, Place
from .control import Control
from .event import properties, properties_of
from .measures import Stage, run
from .plan import REQUESTS, SHAPES
from .side_by_side import costs_of_shapes
from .web_requests import costs_of_requests

__all__ = ["main"]


def main(job: dict[str, Any]) -> None:
    """Do a task, and print what it found."""
    count = job["properties"]
    place = Place(job["port"], job["folder"], properties_of(count) if count else properties)
    with Control(job["control_port"]) as sink:
        if job["measure"] == SHAPES:
            found = costs_of_shapes(place, sink, **job["arguments"])
        elif job["measure"] == REQUESTS:
            found = costs_of_requests(place, sink, **job["arguments"])
        else:
            client = CLIENTS[job["client"]]
            opened = client.open(place)
            values = run(job["measure"], Stage(opened, sink, client.sends), job["arguments"])
            found = {"values": values, "errors": opened.errors[:3]}
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    # Everything is delivered. Some clients' exit hooks wait for seconds all the same.
    os._exit(0)
