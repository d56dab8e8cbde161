"""The relay, its engines and its sources."""

from __future__ import annotations
