"""Reads the lag of a source without waiting longer than one wants to."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ..common.clock import monotonic
from .source import Lag, Source

__all__ = ["LagReader"]

_log = logging.getLogger("rudder_logging")


class LagReader:
    """Asks a source for its lag, in a thread that may have to wait for the engine.

    At most one thread asks, however often it is wanted.
    """

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name
        self._alone = threading.Lock()
        self._look: _Look | None = None
        self.known = Lag(0, 0, 0.0)
        """As it was read last."""

    def begin(self) -> Callable[[float], Lag | None]:
        """Begin to ask, so that several sources can be asked at the same time.

        Returns:
            What waits for the answer until a moment, and returns None if there is none.
        """
        with self._alone:
            look = self._look
            if look is None or look.ended.is_set():
                look = self._look = _Look()
                name = f"rudder-relay-{self._name}-lag"
                threading.Thread(target=self._ask, args=(look,), name=name, daemon=True).start()
        return look.result

    def read(self, deadline: float) -> Lag | None:
        """The lag; None: the engine does not say, or not until then."""
        return self.begin()(deadline)

    def _ask(self, look: _Look) -> None:
        try:
            look.lag = self.known = self._source.lag()
        except Exception as error:  # noqa: BLE001 - the engine's; the observer hears why
            _log.debug("the lag of %s can't be read: %s", self._name, type(error).__name__)
        finally:
            look.ended.set()


class _Look:
    def __init__(self) -> None:
        self.ended = threading.Event()
        self.lag: Lag | None = None

    def result(self, deadline: float) -> Lag | None:
        self.ended.wait(max(0.0, deadline - monotonic()))
        return self.lag
