"""Scopes for the bodies of functions of any kind: coroutines and generators run after the call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

from .scopes import Scope, Steps

__all__ = ["run_within"]

_F = TypeVar("_F", bound=Callable[..., Any])
Begin = Callable[[], Scope]
"""Makes the scope of one call."""


def run_within(begin: Begin, func: _F) -> _F:
    """A function whose body runs in a scope, of whatever kind it is."""
    for is_one, _type, bound in _KINDS:
        if is_one(func):
            return functools.update_wrapper(bound(func, begin), func)  # type: ignore[return-value]

    @functools.wraps(func)
    def called(*args: Any, **kwargs: Any) -> Any:
        with begin():
            made = func(*args, **kwargs)
        for _is_one, body_type, bound in _KINDS:
            if isinstance(made, body_type):  # its body is still to run
                return bound(lambda: made, begin)()
        return made

    return called  # type: ignore[return-value]


def _coroutine_function(func: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        with begin():
            return await func(*args, **kwargs)

    return awaited


def _generator_function(func: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """Bound within each step: between two of them the consumer runs, in the same context."""

    def generated(*args: Any, **kwargs: Any) -> Any:
        bound = Steps(begin())
        with bound:
            body = func(*args, **kwargs)
        step = partial(body.send, None)
        while True:
            try:
                with bound:
                    item = step()
            except StopIteration as stop:
                return stop.value
            try:
                sent = yield item
            except GeneratorExit:
                with bound:
                    body.close()
                raise
            except BaseException as error:  # noqa: BLE001 - the body's, to handle or to raise
                step = partial(body.throw, error)
            else:
                step = partial(body.send, sent)

    return generated


def _async_generator_function(func: Callable[..., Any], begin: Begin) -> Callable[..., Any]:
    """Bound within each step, as above."""

    async def generated(*args: Any, **kwargs: Any) -> Any:
        bound = Steps(begin())
        with bound:
            body = func(*args, **kwargs)
        step = partial(body.asend, None)
        while True:
            try:
                with bound:
                    item = await step()
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except GeneratorExit:
                with bound:
                    await body.aclose()
                raise
            except BaseException as error:  # noqa: BLE001 - as above
                step = partial(body.athrow, error)
            else:
                step = partial(body.asend, sent)

    return generated


_KINDS = (
    (inspect.iscoroutinefunction, Coroutine, _coroutine_function),
    (inspect.isgeneratorfunction, Generator, _generator_function),
    (inspect.isasyncgenfunction, AsyncGenerator, _async_generator_function),
)
"""Kinds of functions whose body runs after the call; how to tell them, what they make, and how to
have something bound while the body runs."""
