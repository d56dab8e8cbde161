"""`LeasedSource`: a source over an engine whose shards the relays share among them by leases."""

from __future__ import annotations

import logging
import os
import random
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ..common.clock import monotonic, wait_until
from ..sinks.base import Later
from .batches import LeasedBatch
from .coordinator import Call, Coordinator, Timing
from .engine import Engine, EngineError
from .handout import Handout, Steps
from .source import Batch, Lag, Observer

__all__ = ["LeasedSource", "relay_id"]

_log = logging.getLogger("rudder_logging")

_LONGEST_CLOSE = 5.0
"""Seconds that `close` waits for leases to be given up. What is left runs out by itself."""

_T = TypeVar("_T")


def relay_id() -> str:
    """Make an id for a relay: it tells people which process that is, and is unlike any other."""
    host = re.sub(r"[^A-Za-z0-9.]", "-", socket.gethostname())
    return f"{host}-{os.getpid()}-{secrets.token_hex(4)}"


class LeasedSource:
    """One source's messages in an engine with leases. See the protocol `Source`.

    A thread keeps leases and looks for messages, from the first `take` on. Lanes read and
    acknowledge in threads of theirs.

    Args:
        engine: The source's, for this object alone: `close` closes it.
        observer: Who hears of leases, faults, and messages that are not handed out.
        timing: Durations, the same for all relays of the source.
    """

    def __init__(self, engine: Engine, observer: Observer, timing: Timing | None = None) -> None:
        self._engine = engine
        self._observer = observer
        coordinator = Coordinator(relay_id(), random.Random(), timing or Timing())  # noqa: S311 - jitter
        self._handout = Handout(coordinator, monotonic)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)  # for lanes
        self._due = threading.Condition(self._lock)  # for the thread
        self._telling = threading.Lock()
        self._sleeps_until = 0.0
        self._thread: threading.Thread | None = None
        self._is_stopped = False

    def take(self, max_bytes: int, timeout: float) -> Batch | None:
        """Hand out the oldest messages of shards of which nothing is handed out."""
        deadline = monotonic() + timeout
        handout = self._handout
        self._start()
        while not self._is_stopped:
            batch = self._drive(handout.taking(max_bytes))
            if batch is not None:
                return batch
            with self._lock:
                handout.waiting += 1
                try:
                    self._wake_thread()
                    wait_until(
                        lambda: self._is_stopped or handout.has_work(),
                        self._changed,
                        deadline - monotonic(),
                    )
                finally:
                    handout.waiting -= 1
            if monotonic() >= deadline:
                break
        return None

    def done(self, batch: Batch) -> None:
        """Forget the messages of a batch, and free its shards."""
        self.release(batch, len(batch))

    def release(self, batch: Batch, settled: int = 0) -> None:
        """Forget the first messages of a batch, and free its shards."""
        assert isinstance(batch, LeasedBatch)  # noqa: S101 - it is for the type checker
        self._drive(self._handout.settling(batch, settled))
        with self._lock:
            self._wake_thread()
            if self._handout.waiting and self._handout.has_work():
                self._changed.notify()

    def holds(self, batch: Batch) -> bool:
        """Tell if all shards of a batch are this relay's for certain."""
        assert isinstance(batch, LeasedBatch)  # noqa: S101 - as above
        with self._lock:
            return self._handout.holds(batch)

    def suppresses(self, batch: Batch) -> Callable[[bytes], bool] | None:
        """See `Forgetful`."""
        assert isinstance(batch, LeasedBatch)  # noqa: S101 - as above
        doomed = self._handout.doomed_in(batch)
        return doomed.__contains__ if doomed else None

    def lag(self) -> Lag:
        """All that is not settled. It makes this process no relay."""
        return self._engine.lag()

    def stop(self) -> None:
        """Hand out nothing more. Shards are given up at once, or when their batch is settled."""
        with self._lock:
            if not self._is_stopped:
                self._is_stopped = True
                self._handout.coordinator.stop()
            self._changed.notify_all()
            self._due.notify()

    def close(self) -> None:
        """Stop, release what is handed out, and let go of the thread and the connections."""
        self.stop()
        with self._lock:
            self._handout.abandon()
            self._due.notify()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(_LONGEST_CLOSE)
        self._engine.close()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._is_stopped:
                self._thread = threading.Thread(
                    target=self._tend, name="rudder-relay-leases", daemon=True
                )
                self._thread.start()

    def _tend(self) -> None:
        handout = self._handout
        while not handout.coordinator.is_over:
            try:
                self._drive(handout.tending())
            except Exception:  # noqa: BLE001 - a bug here must not end them for good
                _log.exception("a relay could not look after its leases, and tries again")
                time.sleep(1.0)
            with self._lock:
                if handout.waiting and handout.has_work():
                    self._changed.notify_all()
                self._sleeps_until = handout.wake()
                self._due.wait(max(0.0, self._sleeps_until - monotonic()))
                self._sleeps_until = 0.0

    def _wake_thread(self) -> None:
        """End the thread's sleep if there is something to be done before that would be over."""
        if self._handout.wake() < self._sleeps_until:
            self._sleeps_until = 0.0
            self._due.notify()

    def _drive(self, steps: Steps[_T]) -> _T:
        """Carry out a work: each step with the lock held, what it asks for without."""
        answer: object = None
        error: EngineError | None = None
        try:
            while True:
                with self._lock:
                    step = steps.send(answer) if error is None else steps.throw(error)
                answer = error = None
                if isinstance(step, Call):
                    try:
                        answer = getattr(self._engine, step.method)(*step.args)
                    except EngineError as failed:
                        error = failed
                    except Exception as failed:  # noqa: BLE001 - a bug there must not end the leases
                        words = f"the engine's {step.method} raised {type(failed).__name__}"
                        error = EngineError(Later(words, "report it: that is a bug"))
                else:
                    answer = step.run()
        except StopIteration as end:
            result: _T = end.value
            return result
        finally:
            self._tell()

    def _tell(self) -> None:
        """Tell the observer, one thread at a time: what was well last must not seem to fail."""
        handout = self._handout
        while handout.told and self._telling.acquire(blocking=False):  # else who tells goes on
            try:
                with self._lock:
                    told, handout.told = handout.told, []
                for method, args in told:
                    getattr(self._observer, method)(*args)
            finally:
                self._telling.release()
