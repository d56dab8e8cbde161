"""flushing(): events leave before the function returns."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic

import pytest

from rudder_logging import flushing
from rudder_logging.dataplane import LocalDataPlane

from ..conftest import MakeHandler, Wire


class Context:
    """As AWS Lambda's: says how long the function may still run."""

    def __init__(self, milliseconds: int) -> None:
        self._end = monotonic() + milliseconds / 1000

    def get_remaining_time_in_millis(self) -> int:
        """As Lambda names it."""
        return int((self._end - monotonic()) * 1000)


def log(logger: logging.Logger, number: int = 0) -> None:
    """Log one event."""
    logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": number}}})


def test_a_function_delivers_before_it_returns(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire
) -> None:
    """Of all handlers, whatever their interval, and what it returns is returned."""
    logger = wire(make_handler(upload_interval=3_600), make_handler(upload_interval=3_600))

    @flushing()
    def function(event: int, context: object) -> int:
        log(logger)
        return event + 1

    assert function(1, Context(20_000)) == 2
    assert len(plane.events) == 2
    assert function.__name__ == "function"


def test_a_function_that_raises_delivers_too(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire
) -> None:
    """And its exception is its own."""
    logger = wire(make_handler(upload_interval=3_600))

    @flushing(within=10)
    def function() -> None:
        log(logger)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        function()
    assert len(plane.events) == 1


def test_it_ends_in_time_and_says_what_is_left(
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The remaining time is kept, less the margin; what is queued leaves with the next call."""
    logger = wire(make_handler(upload_interval=3_600, shutdown_timeout=30))
    plane.fail(503, times=None)

    @flushing(margin=0.2)
    def function(context: Context) -> None:
        log(logger)

    context = Context(600)
    function(context=context)
    assert context.get_remaining_time_in_millis() > 0
    assert "1 events could not be delivered before the function ended" in caplog.text
    plane.heal()
    function(Context(20_000))
    assert len(plane.events) == 2


def test_a_block_and_a_coroutine(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire
) -> None:
    """By `with`, by `async with`, and on coroutine functions."""
    logger = wire(make_handler(upload_interval=3_600))
    with flushing(within=10):
        log(logger, 1)
    assert len(plane.events) == 1

    @flushing(within=10)
    async def function() -> str:
        log(logger, 2)
        return "done"

    async def main() -> None:
        assert await function() == "done"
        assert len(plane.events) == 2
        async with flushing(within=10):
            log(logger, 3)

    asyncio.run(main())
    assert len(plane.events) == 3


def test_a_negative_time_is_refused() -> None:
    """The error names the argument."""
    with pytest.raises(ValueError, match="within must be a number of seconds, at least 0"):
        flushing(-1)
    with pytest.raises(ValueError, match="margin must be"):
        flushing(margin=float("nan"))
