"""Runs a test over many cases as one item of pytest's.

As items of their own, 3,800 cases took pytest 37 s of CPU more in a run with two workers.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import pytest

Test = Callable[..., None]


def each(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Test], Test]:
    """`pytest.mark.parametrize` within one item: all cases run, and those that fail are told.

    They share their fixtures. Of several of these on a test, each case of one meets each of others.
    """
    keys = (names,) if isinstance(names, str) else names
    rows = [dict(zip(keys, (c,) if isinstance(names, str) else c, strict=True)) for c in cases]
    if not rows:
        raise ValueError("no cases")

    def decorate(test: Test) -> Test:
        inner: list[dict[str, Any]] = getattr(test, "cases", [{}])
        call: Test = getattr(test, "call", test)
        together = [{**a, **b} for a, b in itertools.product(rows, inner)]

        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            failed = [told for case in together if (told := _failure(call, case, fixtures))]
            if failed:
                count = f"{len(failed)} of {len(together)} cases fail"
                pytest.fail("\n".join([count, *failed]), pytrace=False)

        signature = inspect.signature(test)
        left = [p for name, p in signature.parameters.items() if name not in keys]
        signature = signature.replace(parameters=left)
        vars(run).update(cases=together, call=call, __signature__=signature)
        return run

    return decorate


def _failure(test: Test, case: dict[str, Any], fixtures: dict[str, Any]) -> str | None:
    """A case's values and why it fails, if it does."""
    try:
        test(**fixtures, **case)
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - it is told
        return "".join([*map(_shown, case.items()), *traceback.format_exception(error)])
    return None


def _shown(item: tuple[str, Any]) -> str:
    """A line on a value, which may be one that can't be shown."""
    name, value = item
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - whatever it raises
        text = f"a value of the type {type(value).__name__}"
    return f"{name} = {text[:200]}\n"
