"""The URL schemes that third parties have registered."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["SINKS", "Schemes"]


class Schemes:
    """Makers by scheme.

    Args:
        own: Schemes that stay the package's.
    """

    def __init__(self, *own: str) -> None:
        self._own = own
        self._makers: dict[str, Callable[..., Any]] = {}

    def register(self, scheme: str, make: Callable[..., Any]) -> None:
        """Have URLs of a scheme go to a maker. Of two for one scheme, the last counts.

        Raises:
            ValueError: It is no scheme, or one of the package's.
        """
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
            raise ValueError(f"{scheme!r} is no URL scheme; give lower-case letters, like kafka")
        if scheme in self._own:
            raise ValueError(f"the scheme {scheme} is rudder_logging's own; give another")
        self._makers[scheme] = make

    def maker(self, url: str) -> Callable[..., Any] | None:
        """The maker that was registered for a URL; None: none was."""
        scheme, colon, _ = url.partition(":")
        return self._makers.get(scheme.lower()) if colon else None

    @property
    def names(self) -> list[str]:
        """The schemes that were registered."""
        return list(self._makers)


SINKS = Schemes("http", "https")
"""Here, because `config` stands below `sinks` and has to know them."""
