"""Files that options name, and that have to be read."""

from __future__ import annotations

import os

__all__ = ["fault_of_file"]


def fault_of_file(name: str, path: str) -> str | None:
    """Name the fault of a file that has to be read; None: nothing is known."""
    if not os.path.exists(path):  # noqa: PTH110
        return f"{name} names a file that does not exist: {path}"
    if not os.access(path, os.R_OK):
        return f"{name} names a file that can't be read: {path}"
    return None
