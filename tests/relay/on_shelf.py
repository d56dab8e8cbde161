"""`rudder-logging relay shelf://...` in a process of its own: over sources in its memory.

The URL's path is how many messages each source has: `shelf://here/500`.
"""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from rudder_logging.cli import main
from rudder_logging.relay import source
from rudder_logging.relay.source import Observer
from rudder_logging.sinks import register
from rudder_logging.sinks.nowhere import Nowhere

from .feeds import messages
from .shelf import Shelf


def _open(url: str, _name: str, observer: Observer) -> Shelf:
    shelf = Shelf(observer)
    shelf.put(messages(int(urlsplit(url).path[1:])))
    observer.leases_changed(16, 0)
    return shelf


if __name__ == "__main__":
    register("shelf", lambda _: Nowhere())  # an app's sink, or its URL is none of a relay
    source.register("shelf", _open)
    sys.exit(main(sys.argv[1:]))
