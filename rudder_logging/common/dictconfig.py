"""Containers as `dictConfig` hands them over."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["resolved"]


def resolved(value: Any) -> Any:
    """Plain containers of `dictConfig`'s, with the values that `ext://` and `cfg://` stand for.

    Its own containers resolve them only where a value is looked up one by one.
    """
    config = sys.modules.get("logging.config")
    if config is None:
        return value
    if isinstance(value, config.ConvertingDict):
        return {key: resolved(value[key]) for key in list(value)}
    if isinstance(value, (config.ConvertingList, config.ConvertingTuple)):
        items = [resolved(value[index]) for index in range(len(value))]
        return items if isinstance(value, list) else tuple(items)
    return value
