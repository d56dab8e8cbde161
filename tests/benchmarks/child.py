"""The process in which one client does one task: told in JSON, it answers with a line of JSON."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from .clients import CLIENTS, Place
from .control import Control
from .event import properties, properties_of
from .measures import Stage, run

__all__ = ["main"]


def main(job: dict[str, Any]) -> None:
    """Do a task, and print what it found."""
    client = CLIENTS[job["client"]]
    count = job["properties"]
    place = Place(job["port"], job["folder"], properties_of(count) if count else properties)
    with Control(job["control_port"]) as sink:
        opened = client.open(place)
        values = run(job["measure"], Stage(opened, sink, client.sends), job["arguments"])
    print(json.dumps({"values": values, "errors": opened.errors[:3]}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    # Everything is delivered. Some clients' exit hooks wait for seconds all the same.
    os._exit(0)
