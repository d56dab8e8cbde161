"""The trouble with an engine: told once it has lasted, rarely while it lasts, once it is over."""

from __future__ import annotations

import logging
import threading

from ..common.clock import monotonic
from ..delivery.retry import Trouble
from ..sinks.base import Failure, Hold

__all__ = ["EngineTrouble"]

_log = logging.getLogger("rudder_logging")


class EngineTrouble:
    """Notes what the engine of a source fails with.

    The very first failure is told at once, as the URL may be wrong, and so is one of configuration.
    """

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._trouble = Trouble()
        self._told: str | None = None
        self.was_well = False
        """True once it has answered."""
        self.fault: str | None = None
        """The reason why the engine is of no use at present; None: it answers."""
        self.since = 0.0
        """The time since which it fails, if it does."""
        self.is_held = False
        """True if that is a fault of configuration."""

    @property
    def fails(self) -> bool:
        """True if it does not answer at present."""
        return self.fault is not None

    def failing(self, failure: Failure) -> None:
        """An attempt has failed."""
        now = monotonic()
        with self._alone:
            if self.fault is None:
                self.since = now
            self._trouble.begin(now)
            self.fault = f"{failure.fault}; {failure.cure}"
            self.is_held = isinstance(failure, Hold)
            is_news = self.is_held and self._told != self.fault
            is_first = self._told is None and not self.was_well
            if not (is_news or is_first or not self._trouble.until_told(now)):
                return
            self._told = self.fault
            self._trouble.told(now)
            lasted = now - self.since
        lasting = f" for {lasted:.0f} s" if lasted >= 1 else ""
        _log.error("the engine is of no use%s: %s. The relay goes on trying", lasting, self._told)

    def well(self) -> None:
        """It answers."""
        with self._alone:
            was_told, self._told = self._told, None
            lasted = monotonic() - self.since
            self._trouble.end()
            self.fault, self.is_held, self.was_well = None, False, True
        if was_told:
            _log.warning("the engine is well again after %.0f s", lasted)
