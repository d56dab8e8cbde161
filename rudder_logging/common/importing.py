"""Objects that an option names by where to import them from."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["imported"]


def imported(value: Any, kind: str) -> Any:
    """The object that text names, `package.module.name` or `package.module:name`; or the value.

    Raises:
        ValueError: There is none; its text goes on after the option's name.
    """
    if not isinstance(value, str):
        return value
    module, _, name = value.replace(":", ".").rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError, TypeError):  # TypeError: it is relative
        raise ValueError(f"names {kind} that can't be imported; give module:name") from None
