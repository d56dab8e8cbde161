"""Names of an SDK in strings, as `mock.patch` and its like take them."""

from __future__ import annotations

from collections.abc import Collection

import libcst as cst

from .names import HERE, counterpart, sdk_of
from .uses import dotted

__all__ = ["moved_target", "target_of"]

_PATCHERS = frozenset({"patch", "setattr", "delattr", "spy", "multiple"})


def target_of(call: cst.Call) -> cst.SimpleString | None:
    """The string by which a call of `patch`, `monkeypatch.setattr` and so on names its target."""
    name = dotted(call.func).rpartition(".")[2]
    if name not in _PATCHERS or not call.args or call.args[0].star:
        return None
    target = call.args[0].value
    is_plain = isinstance(target, cst.SimpleString) and not target.prefix.strip("rRuU")
    return target if is_plain else None  # type: ignore[return-value] # it is one


def moved_target(target: str, known: Collection[str]) -> str | None:
    """The name here of a target within an SDK; None: it is no SDK's, or has no counterpart."""
    found = sdk_of(target, known)
    if found is None:
        return None
    rest = found[1]
    name = counterpart(rest) if rest not in ("", "client") else ""
    return None if name is None else f"{HERE}.{name}".rstrip(".")
