"""flushing(): deliver before a function returns, because its process may be frozen after that."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from .handler import flush_all
from .stdlib import to_thread

__all__ = ["flushing"]

_log = logging.getLogger("rudder_logging")

_Function = TypeVar("_Function", bound=Callable[..., Any])


class flushing:  # noqa: N801 - it reads as a verb where it is used
    """Flush all handlers when a function, or a block, ends: for AWS Lambda and its like.

    ```python
    @flushing()
    def handler(event, context): ...


    with flushing(within=2.0):
        ...
    ```

    What could not be delivered in time stays queued, is told in one log line, and leaves with the
    next call. What the function returns or raises is not changed. Works on coroutine functions,
    and by `async with`, without blocking the loop.

    Args:
        within: Seconds that flushing may take. By default, of a decorated function with an argument
            that has `get_remaining_time_in_millis` (AWS Lambda's context), what remains of its
            time less `margin`; else each handler's `shutdown_timeout`.
        margin: Seconds of the remaining time that are left to the function's runtime.

    Raises:
        ValueError: `within` or `margin` is negative.

    .. versionadded:: 0.1.0
    """

    def __init__(self, within: float | None = None, *, margin: float = 0.5) -> None:
        for name, value in (("within", within), ("margin", margin)):
            if value is not None and not value >= 0:
                raise ValueError(f"{name} must be a number of seconds, at least 0")
        self._within = within
        self._margin = margin

    def __call__(self, function: _Function) -> _Function:
        """Have a function, or a coroutine function, flush before it returns."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaiting(*args: Any, **kwargs: Any) -> Any:
                async with self._for_call(args, kwargs):
                    return await function(*args, **kwargs)

            return awaiting  # type: ignore[return-value]

        @functools.wraps(function)
        def calling(*args: Any, **kwargs: Any) -> Any:
            with self._for_call(args, kwargs):
                return function(*args, **kwargs)

        return calling  # type: ignore[return-value]

    def __enter__(self) -> flushing:  # noqa: PYI034 - Self is not in Python 3.10
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._flush()

    async def __aenter__(self) -> flushing:  # noqa: PYI034 - as above
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await to_thread(self._flush)

    def _for_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> flushing:
        return _Call(self._within, self._margin, (*args, *kwargs.values()))

    def _time(self) -> float | None:
        return self._within

    def _flush(self) -> None:
        for handler in flush_all(self._time()):
            _log.warning(
                "%d events could not be delivered before the function ended; they leave with "
                "the next call, if this process lives until then",
                handler.stats().pending,
            )


class _Call(flushing):
    """One call of a decorated function, whose arguments may tell how much time it has."""

    def __init__(self, within: float | None, margin: float, arguments: tuple[Any, ...]) -> None:
        super().__init__(within, margin=margin)
        self._arguments = arguments

    def _time(self) -> float | None:
        if self._within is None:
            for argument in self._arguments:
                remaining = getattr(argument, "get_remaining_time_in_millis", None)
                if callable(remaining):
                    return max(0.0, float(remaining()) / 1000 - self._margin)
        return self._within
