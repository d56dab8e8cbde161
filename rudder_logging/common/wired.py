"""Integrations that the app has wired: each adds its name, and the doctor reads them."""

from __future__ import annotations

__all__ = ["wired"]

wired: set[str] = set()
"""Names of files in `rudder_logging.integrations`."""
