"""Where events wait between the call and the data plane."""

from __future__ import annotations

from .base import EventQueue
from .memory import MemoryQueue
from .opening import open_queue

__all__ = ["EventQueue", "MemoryQueue", "open_queue"]
