"""The events of the apps that these tests have served."""

from __future__ import annotations

import logging
import os
import random

from rudder_logging import RudderHandler

__all__ = ["log", "pause"]

_shop = logging.getLogger("shop")

if "RUDDER_WRITE_KEY" in os.environ:  # it is imported by a server, not by a test
    logging.basicConfig(level=logging.INFO, handlers=[RudderHandler()])


def log(place: str, n: object = None, **fields: str) -> None:
    """Log an event that says at which place it was logged."""
    _shop.info("Seen", extra={"rudder": {"properties": {"place": place, "n": n}, **fields}})


def pause() -> float:
    """Seconds in which others run."""
    return random.uniform(0, 0.01)
