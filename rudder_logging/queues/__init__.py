"""Where events wait between the call and the data plane."""

from __future__ import annotations

from .base import EventQueue, open_queue
from .memory import MemoryQueue

__all__ = ["EventQueue", "MemoryQueue", "open_queue"]
