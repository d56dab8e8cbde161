"""The app that the command runs within, as Django's `manage.py` has it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["App"]


@dataclass(frozen=True)
class App:
    """The app that the command runs within, where it does: it has set up logging already."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Of its handler: flags win over them, they over the environment."""
    others_loggers: Collection[str] = ()
    """Names of loggers that are not the app's own."""
