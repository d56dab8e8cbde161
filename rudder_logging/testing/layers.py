"""Methods that are replaced for a while, by several who come and go in any order.

A test's fixture may end before one that began later, of its module, say. So nobody puts back what
it found: the layers that are left are laid anew, in the order in which they came.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Layer", "lay", "lift"]

Layer = Callable[[Any], Any]
"""From the method below, which is another whenever a layer comes or goes, to the one to use."""

_lock = threading.RLock()
_laid: dict[tuple[type, str], tuple[Any, list[Layer]]] = {}


def lay(cls: type, name: str, layer: Layer) -> None:
    """Put a layer over a method of a class."""
    with _lock:
        original, layers = _laid.setdefault((cls, name), (cls.__dict__[name], []))
        layers.append(layer)
        _use(cls, name, original, layers)


def lift(cls: type, name: str, layer: Layer) -> None:
    """Take a layer off; with the last one, the method is what it was."""
    with _lock:
        original, layers = _laid[cls, name]
        layers.remove(layer)
        if not layers:
            del _laid[cls, name]
        _use(cls, name, original, layers)


def _use(cls: type, name: str, method: Any, layers: list[Layer]) -> None:
    for layer in layers:
        method = layer(method)
    setattr(cls, name, method)
