"""The place where the queues and sinks of handlers are opened, and who takes over."""

from __future__ import annotations

import os

from rudder_logging.config import Config
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler.outlets import Outlets, replaced_by
from rudder_logging.sinks import Sink
from rudder_logging.sinks.nowhere import Nowhere

from ..conftest import MakeHandler, Wire


class _ToNowhere(Outlets):
    """Opens the queue as usual, and counts the sinks."""

    opened = 0

    def sink(self, config: Config) -> Sink:
        self.opened += 1
        return Nowhere()


def test_a_handler_keeps_to_the_outlets_it_was_made_with(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """They count for good, in forked children too; a handler that is made later has the usual."""
    outlets = _ToNowhere()
    with replaced_by(outlets):
        handler = make_handler()
    logger = wire(handler)
    logger.info("Kept", extra={"rudder": {"user_id": "1"}})
    assert handler.flush()
    assert (handler.stats().delivered, outlets.opened) == (1, 1)
    child = os.fork()
    if not child:
        logger.info("Kept", extra={"rudder": {"user_id": "1"}})
        is_right = handler.flush() and (handler.stats().delivered, outlets.opened) == (1, 2)
        os._exit(not is_right)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    later = make_handler()
    wire(later).info("Sent", extra={"rudder": {"user_id": "1"}})
    assert later.flush()
    assert [event["event"] for event in plane.events] == ["Sent"]
