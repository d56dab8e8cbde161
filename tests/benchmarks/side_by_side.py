"""Log calls of all shapes: ours, a `QueueHandler`'s and the least that they could cost, in turn.

All in one process: block by block in a loop, and call by call when paced. What is logged waits
meanwhile, whoever logs it: the server holds an upload of each sender, and the `QueueHandler` has
no listener. After the blocks all queues are emptied, and garbage is collected only before them.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from random import Random
from statistics import median
from time import perf_counter, sleep
from typing import Any

import orjson

from rudder_logging import RudderFormatter

from .clients import HANDLERS, Place
from .control import Control
from .measures import ENOUGH_FOR_AN_UPLOAD, PATIENCE, Values
from .shapes import SHAPES, Shape

__all__ = ["FLOOR", "OTHERS", "PRIVATE", "costs_of_shapes"]

FLOOR = "floor"
"""The log call into a `NullHandler`, and the finished message through `orjson.dumps`."""
OTHERS = ("queuehandler", FLOOR)
"""The names of all that ours are compared with."""

PRIVATE = "private"
"""The name of the one that redacts ten keys, which is compared with the same that does not."""
_SENDERS = ("logging", "spool", PRIVATE)

Turn = dict[str, float]
"""Microseconds a call, by client."""


class _Formatter(RudderFormatter):
    shares_records = False  # else handlers remember their records for it


def _finished(shape: Shape) -> bytes:
    """A message of that shape, ready to be sent."""
    record = logging.makeLogRecord({"msg": shape.line, "rudder": shape.fields(25_000)})
    return _Formatter().format(record).encode()


def _logger(name: str, handler: logging.Handler) -> logging.Logger:
    logger = logging.getLogger(f"benchmark.{name}")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    return logger


class _Clients:
    """All that take turns."""

    def __init__(self, place: Place, sink: Control) -> None:
        self._sink = sink
        self._handled = {name: handled(place) for name, handled in HANDLERS.items()}
        self._loggers = {name: _logger(name, one.handler) for name, one in self._handled.items()}
        self._loggers[FLOOR] = _logger(FLOOR, logging.NullHandler())
        self.events = 0
        """Sent to the server, numbered from 0 on."""

    def calls(self, shape: Shape) -> dict[str, Callable[[int], object]]:
        """Each client's call, which logs the event of that number."""
        line, fields, dumps = shape.line, shape.fields, orjson.dumps
        message, bare = orjson.loads(_finished(shape)), self._loggers[FLOOR]

        def of(logger: logging.Logger) -> Callable[[int], object]:
            return lambda n: logger.info(line, extra={"rudder": fields(n)})

        def floor(n: int) -> None:
            bare.info(line, extra={"rudder": fields(n)})
            dumps(message)

        return {**{name: of(logger) for name, logger in self._loggers.items()}, FLOOR: floor}

    def cost(self, name: str, call: Callable[[int], object], count: int) -> float:
        """Microseconds a call, of so many."""
        numbers = range(self.events, self.events + count)
        began = perf_counter()
        for n in numbers:
            call(n)
        seconds = perf_counter() - began
        if name in _SENDERS:
            self.events += count
        return seconds / count * 1e6

    @contextmanager
    def occupied(self, calls: dict[str, Callable[[int], object]]) -> Iterator[None]:
        """Have each queue keep what it gets until the block ends, and nobody collect garbage."""
        self._sink.ask("hold")
        for name, call in calls.items():
            self.cost(name, call, ENOUGH_FOR_AN_UPLOAD)
        if not self._sink.ask("await_held", timeout=PATIENCE, uploads=len(_SENDERS)):
            raise RuntimeError("a client has sent nothing")
        gc.collect()
        gc.disable()
        yield
        gc.enable()
        self._sink.ask("release")
        for one in self._handled.values():
            one.empty()

    def in_a_loop(self, shape: Shape, cycles: int, turns: int, calls: int) -> list[Turn]:
        """Blocks of so many calls. The first cycle only warms up."""
        found: list[Turn] = []
        by_name = self.calls(shape)
        for cycle in range(cycles + 1):
            with self.occupied(by_name):
                costs = [
                    {name: self.cost(name, by_name[name], calls) for name in names}
                    for names in _in_turn([*by_name], turns)
                ]
            if cycle:
                found += costs
        return found

    def paced(self, shape: Shape, turns: int, rate: float) -> list[Turn]:
        """Single calls: each client's come at that rate, and in between the process sleeps."""
        by_name = self.calls(shape)

        def cost(name: str) -> float:
            sleep(1 / rate / len(by_name))
            return self.cost(name, by_name[name], 1)

        with self.occupied(by_name):
            return [{name: cost(name) for name in names} for names in _in_turn([*by_name], turns)]


def _in_turn(names: list[str], turns: int) -> Iterator[list[str]]:
    """All names, so many times, in an order that changes: each comes behind any other."""
    order = Random(0)
    for _ in range(turns):
        yield order.sample(names, len(names))


def _medians(turns: list[Turn]) -> dict[str, Values]:
    """By client. Ratios are taken within a turn: a moment that is slow then slows all alike."""
    found = {name: {"call_us": median(turn[name] for turn in turns)} for name in turns[0]}
    for name, other in product(_SENDERS, OTHERS):
        found[name][f"of_{other}"] = median(turn[name] / turn[other] for turn in turns)
    found[PRIVATE]["of_logging"] = median(turn[PRIVATE] / turn["logging"] for turn in turns)
    return found


def costs_of_shapes(
    place: Place, sink: Control, loop: dict[str, Any], paced: dict[str, Any]
) -> dict[str, Any]:
    """Find costs, by name of task and by client, and how many events were sent.

    Args:
        place: Where the clients work.
        sink: The server.
        loop: See `_Clients.in_a_loop`.
        paced: See `_Clients.paced`.
    """
    clients = _Clients(place, sink)
    costs = {}
    for name, shape in SHAPES.items():
        with shape.binding():
            costs[f"loop-{name}"] = _medians(clients.in_a_loop(shape, **loop))
            costs[f"paced-{name}"] = _medians(clients.paced(shape, **paced))
            costs[f"loop-{name}"][FLOOR]["bytes"] = len(_finished(shape))
    return {"values": {"events": clients.events}, "errors": [], "costs": costs}
