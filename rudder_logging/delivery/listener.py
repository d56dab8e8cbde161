"""BatchListener: the thread that takes batches from the queue and has them delivered.

It is the standard library's `QueueListener`, driven by its documented hooks alone: `dequeue`
returns a whole batch (or the sentinel), `handle` delivers it, `enqueue_sentinel` asks it to end.
"""

from __future__ import annotations

import contextlib
import logging
import math
import queue as stdlib_queue
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from logging.handlers import QueueListener
from typing import Any

from ..common.clock import monotonic
from ..common.locks import EndingLock
from ..common.stderr import tell_undelivered
from ..process import ending
from ..queues import Batch, EventQueue
from ..sinks.base import MESSAGE_OVERHEAD
from .ledger import Ledger
from .reports import Reports
from .retry import RetryPolicy
from .sender import Sender

__all__ = ["BatchListener"]

_log = logging.getLogger("rudder_logging")

_AFTER_A_BUG = RetryPolicy(base=1.0)
_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_UNTIL_IT_CAN_BE_READ = 1.0  # the durable queue looks at its disk as often
_SHORTEST_ATTEMPT = 0.05
_LONGEST_WAIT_WHEN_STOPPING = 1.0
_ENOUGH_SIGNALS = 4
_NEVER = sys.maxsize

_REST, _UPLOADS_WITHOUT_REST = 0.01, 10
"""After an upload, one that is due rests so long, unless ten times `upload_size` wait, or half of
what the queue may hold. An upload costs some 0.7 ms whatever its size. In a loop of 40,000 events,
a call takes 11 us instead of 13 for it, and the process 11 us of CPU an event instead of 12.
"""


class BatchListener(QueueListener):
    """Delivers what waits in a queue: in its own thread, or in a caller's.

    An upload starts when `upload_size` events wait, or `upload_interval` seconds after the
    first came, and takes all that waits. The thread is started by `ensure_running`; told to
    stop, it first delivers what waits, and ends when nothing does.
    """

    queue: EventQueue  # type: ignore[assignment]  # typeshed knows only the standard queues
    _thread: threading.Thread | None

    def __init__(
        self,
        queue: EventQueue,
        sender: Sender,
        ledger: Ledger,
        reports: Reports,
        *,
        upload_size: int,
        upload_interval: float,
        max_queue_size: int,
        shutdown_timeout: float,
    ) -> None:
        super().__init__(queue)  # type: ignore[arg-type]  # as above
        self.unattended = True
        """True if no thread looks at the queue. Whoever puts an event calls `ensure_running`."""
        self.wake_at = _NEVER
        """Number of waiting events that ends its sleep. Whoever puts an event, and finds that many
        waiting or more, calls `wake`. While it is awake, nobody has to."""
        self._abandoned = False  # at the end of the process: no attempt is begun any more
        self.awaits_close = False
        """True if its handler will be closed as the process ends: nothing has to leave before."""
        self._sender = sender
        self._ledger = ledger
        self._reports = reports
        self.shutdown_timeout = shutdown_timeout
        """Seconds that the process's end may wait for it."""
        self._upload_size = upload_size
        resting = min(upload_size * _UPLOADS_WITHOUT_REST, max_queue_size // 2)
        self._upload_size_resting = max(upload_size, resting)
        self._upload_interval = upload_interval
        # Re-entrant: an event may be logged from a signal handler or a garbage collection while
        # this very thread is inside. SimpleQueue promises the same of its put().
        self._signals: stdlib_queue.SimpleQueue[float | None] = stdlib_queue.SimpleQueue()
        self._life: Any = threading.RLock()
        self._delivering: Any = threading.RLock()
        self._deliverer: int | None = None
        self._greenlet: object = None  # in which the thread runs, if gevent has made it one
        self._starting = self._stopping = self._died = False
        self._hurry = 0  # counts requests not to wait
        self._hurried = 0  # those that have been heeded: all that waited then has been taken
        self._roused = 0  # those that have ended a pause, or came before what is being delivered
        self._first_at: float | None = None
        self._give_up_at: float | None = None
        self._rested_at = 0.0
        self._bugs = 0  # in a row
        self._told_of_bug_at = float("-inf")
        self._drains = 0
        self._drains_when_taken = 0

    @property
    def sender(self) -> Sender:
        """Sends the batches, one after the other."""
        return self._sender

    # What callers say.

    def ensure_running(self) -> bool:
        """Start the thread if none runs. False: none can be started (the interpreter is ending)."""
        if not self.unattended:
            return True
        with self._life:
            if self._is_looked_after():
                return True
            self._starting = True
            try:
                self._thread = None
                self._stopping = False
                self.start()
            except RuntimeError:
                return False
            finally:
                self._starting = False
            if self._died:
                self._died = False
                self._ledger.count_restart()
            return True

    def _is_looked_after(self) -> bool:
        return not self.unattended or self._starting

    def start(self) -> None:
        """Start the thread; see `ensure_running`, which does so once."""
        self.unattended = False
        try:
            super().start()
        except BaseException:
            self.unattended = True
            raise

    def wake(self) -> None:
        """End the listener's sleep: an event came to an empty queue, or enough of them wait."""
        self.wake_at = _NEVER
        try:
            if self._signals.qsize() < _ENOUGH_SIGNALS:
                self._signals.put(monotonic())
        except BaseException:  # a signal handler's: nobody else will wake it
            self._signals.put(monotonic())
            raise

    def end_rest(self) -> None:
        """The queue is full: an upload that is due begins at once."""
        self._rested_at = 0.0
        self.wake()

    def hurry(self) -> None:
        """End whatever wait is on: upload now, try again now."""
        self._hurry += 1
        self._signals.put(None)

    def enqueue_sentinel(self) -> None:
        """Ask the thread to end once nothing waits, and not to wait for more."""
        with self._life:  # not between the steps of a start, which would take it back
            self._stopping = True
        self.hurry()

    def stop(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Ask the thread to end, and wait for it. Returns whether it has ended.

        Args:
            timeout: Seconds to wait at the most; by default `shutdown_timeout`.
        """
        self.enqueue_sentinel()
        with self._life:  # or the thread might not be started yet, and can't be joined
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(self.shutdown_timeout if timeout is None else timeout)
        return self.unattended

    def forget(self, people: Collection[str]) -> None:
        """Have the sink forget people, by the thread that delivers."""
        self._sender.errand.add(people)
        if self.ensure_running():
            self.hurry()

    def is_deliverer(self) -> bool:
        """Tell if the calling thread is the one that delivers: it can't wait for itself."""
        return self._deliverer == threading.get_ident()

    def drain(self, timeout: float) -> bool:
        """Deliver in the calling thread until nothing waits.

        Nothing of ours is raised: the caller is the app.

        Args:
            timeout: Seconds after which what waits stays in the queue; at the end of the process,
                no more than are left of `shutdown_timeout`.

        Returns:
            True if nothing waits any more.
        """
        return self._drain(ending.deadline(timeout, self.shutdown_timeout))

    def _drain(self, deadline: float) -> bool:
        if self.is_deliverer():
            return False  # an event logged by a callback: the loop further up delivers it
        if not self._delivering.acquire(timeout=max(0.0, deadline - monotonic())):
            return False
        self._deliverer = threading.get_ident()
        self._give_up_at = deadline
        self._drains += 1
        try:
            self._sender.errand.run(self._sender.sink, self.time_left())
            while True:
                waited = self.queue.depth().waiting
                batch = self._take()
                if not batch:  # what waited and still does can't be read from the disk at present
                    return not (waited and self.queue.depth().waiting)
                if not self._sender.deliver(batch, self):
                    # Take back all but the first, or as long as it is handed out it could neither
                    # make room nor become too old.
                    self.queue.take(0)
                    return False
        except Exception as error:  # noqa: BLE001 - a bug, ours or of the app's queue
            self._tell_of_bug(error)
            return False
        finally:
            self._give_up_at = None
            self._deliverer = None
            self._drains += 1  # what the thread has taken meanwhile is stale, too
            self._delivering.release()

    def disown(self) -> None:
        """Called in a forked child: whatever delivers here goes on in the parent alone.

        gevent's greenlets are in the child, too, and would run.
        """
        self._abandoned = True
        self._sender.disown()
        gevent = sys.modules.get("gevent")
        if gevent is not None and isinstance(self._greenlet, gevent.Greenlet):
            # A thread ends by this exception without a word, if it is among those that run.
            if self._thread is not None and self._thread.ident is not None:
                getattr(threading, "_active", {})[self._thread.ident] = self._thread
            self._greenlet.kill(SystemExit, block=False)

    def outlive_threads(self) -> None:
        """The process begins to end: wait for no thread that is ended while it holds a lock."""
        if isinstance(self._life, EndingLock):
            return
        self._life, self._delivering = EndingLock(self._life), EndingLock(self._delivering)
        self.queue.outlive_threads()

    def finish(
        self, deadline: float, tell: Callable[[int, str | None], object] = tell_undelivered
    ) -> None:
        """At the end of the process: wait, then deliver from here, then count what is left.

        Args:
            deadline: The monotonic time at which nothing is waited for any more.
            tell: Called with how many are left, and why they were held, if any are.
        """
        if self.is_deliverer():
            return  # an event logged by a callback: the loop further up delivers or counts it
        # Else there is no thread to wait for.
        if not (self.unattended or ending.threads_are_ended()):
            self.stop(max(0.0, deadline - monotonic()))
        # Once the interpreter takes modules apart, nothing can be imported, and requests fails at
        # its first import inside a function: after the server has stored the events.
        errand = self._sender.errand
        if (self.queue.depth().events or errand.due < math.inf) and ending.can_import():
            self._drain(deadline)
        errand.give_up()
        self._abandoned = True
        self.wake()
        left = self._ledger.abandon(self.queue, "shutdown")
        if left:
            self._reports.shutdown(left, self._ledger.holding, tell)
        if not ending.threads_are_ended():  # else one of them may hold a handler's lock
            self._reports.final_lines()

    def release(self) -> None:
        """Let go of connections and files that `drain` opened."""
        self._sender.close()
        self.queue.close()

    # What the thread does.

    def dequeue(self, block: bool) -> Batch | None:  # type: ignore[override]  # noqa: ARG002
        """Wait for a batch that is due; None, the sentinel, when told to stop and none is left."""
        while True:
            try:
                return self._next()
            except Exception as error:  # noqa: BLE001, PERF203 - of the queue, if it is no bug
                if not self._pause_after_bug(error):
                    self.unattended = True
                    return None

    def _next(self) -> Batch | None:
        try:
            while True:
                if not self._is_in_charge():
                    return None
                # Read first: a flush that comes after it may concern an event not seen below.
                hurry = self._hurry
                pending = self.queue.depth().events
                if self._abandoned:
                    self.unattended = True
                    self._sender.close()
                    return None
                errand = self._sender.errand.due
                if errand < math.inf and (errand <= monotonic() or hurry != self._hurried):
                    return self._take()
                if pending:
                    sleep, wake_at = self._until_due(pending, monotonic())
                    if self._stopping or hurry != self._hurried or sleep <= 0:
                        return self._take()
                else:
                    sleep, wake_at = None, 1
                    self._first_at = None
                    self._hurried = hurry
                    if self._stopping and self._end_unless_pending():
                        return None
                if errand < math.inf:
                    sleep = min(math.inf if sleep is None else sleep, errand - monotonic())
                self.wake_at = wake_at
                if self.queue.depth().events < wake_at:  # else they came before that was known
                    self._await_signal(sleep)
        except Exception:
            raise
        except BaseException:
            self._died = self.unattended = True
            raise

    def _is_in_charge(self) -> bool:
        """Tell if the calling thread is the one that looks after the queue.

        Whoever started it may have been interrupted meanwhile, by a Ctrl-C say, and can't tell
        whether it runs. Either nobody else has started one since; or this one ends.
        """
        with self._life:
            if self._thread is not threading.current_thread():
                return False
            self.unattended = False
            if (greenlet := sys.modules.get("greenlet")) is not None:
                self._greenlet = greenlet.getcurrent()
            return True

    def _until_due(self, pending: int, now: float) -> tuple[float, int]:
        """Seconds until what waits is to be uploaded, and how many events make it due at once."""
        if self._first_at is None:
            self._first_at = now
        enough, sleep = self._upload_size, self._first_at + self._upload_interval - now
        if pending >= enough:
            sleep = 0.0
        if now < self._rested_at:
            enough, sleep = self._upload_size_resting, max(sleep, self._rested_at - now)
        return (0.0 if pending >= enough else sleep), enough

    def handle(self, record: Batch) -> None:  # type: ignore[override]
        """Deliver a batch."""
        try:
            with self._delivering:
                self._deliverer = threading.get_ident()
                self._reports.is_called_by_thread()
                try:
                    if self._drains != self._drains_when_taken:
                        record = self._take()  # a caller has delivered meanwhile
                    self._sender.errand.run(self._sender.sink, None)
                    self._sender.deliver(record, self)
                finally:
                    self._deliverer = None
                    self._rested_at = monotonic() + _REST
            self._bugs = 0
            if not record and self.queue.depth().waiting:  # as in `drain`
                self.pause(_SECONDS_UNTIL_IT_CAN_BE_READ)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end delivery
            self._pause_after_bug(error)  # the batch is still first in line
        except BaseException:
            self._died = self.unattended = True
            raise

    @contextlib.contextmanager
    def telling_of_bugs(self) -> Iterator[None]:
        """Raise nothing of ours, or of a queue of the app's, into the app; say it instead."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._tell_of_bug(error)

    def _pause_after_bug(self, error: Exception) -> bool:
        """Wait, the longer the more of them come one after the other. False: it is the end."""
        self._tell_of_bug(error)
        self._bugs += 1
        return self.pause(_AFTER_A_BUG.delay(self._bugs, 1.0) or 0.0)

    def _tell_of_bug(self, error: Exception) -> None:
        """Say so, but not with each event. Not the error's text, which might quote one."""
        now = monotonic()
        if now - self._told_of_bug_at >= _SECONDS_BETWEEN_LINES:
            self._told_of_bug_at = now
            with contextlib.suppress(Exception):  # out of memory, say, or of stack
                _log.error("delivery failed with %s", type(error).__name__)

    def _take(self) -> Batch:
        self.wake_at = _NEVER
        self._first_at = None
        self._drains_when_taken = self._drains
        hurry = self._roused = self._hurry
        batch = self.queue.take(self._sender.max_bytes, MESSAGE_OVERHEAD) or Batch()
        if self.queue.depth().waiting:
            self._first_at = float("-inf")  # they have waited long enough already
        else:
            self._hurried = hurry
        return batch

    def _end_unless_pending(self) -> bool:
        """End, unless an event has come at the last moment."""
        # In this order: whoever puts an event after the look sees the flag and restarts. And not
        # under the lock: an interrupted `put`, which holds the queue's, may want it.
        self.unattended = True
        pending = self.queue.depth().events
        with self._life:
            if self._thread is not threading.current_thread():
                return True  # another has been started meanwhile, and looks after the queue
            if pending:
                self.unattended = False
                return False
            self._sender.close()  # before a next thread can have begun to use it
        self.queue.close()
        return True

    def _await_signal(self, timeout: float | None) -> None:
        """Wait for one; of a queue that others ask for something, look after that meanwhile."""
        every = self.queue.looks_every
        while timeout is not None and every is not None and every < timeout:
            if self._had_signal(every):
                return
            self.queue.look()
            timeout -= every
        self._had_signal(timeout)

    def _had_signal(self, timeout: float | None) -> bool:
        try:
            first_at = self._signals.get(timeout=timeout)
        except stdlib_queue.Empty:
            return False
        if self._first_at is None:
            self._first_at = first_at
        return True

    # What delivery asks: see the protocol `Patience`.

    def pause(self, seconds: float) -> bool:
        """Wait between attempts. A flush or a close ends the wait."""
        if self._stopping:  # somebody waits for the end, and the server may be well again soon
            seconds = min(seconds, _LONGEST_WAIT_WHEN_STOPPING)
        deadline = monotonic() + seconds
        if self._give_up_at is not None and deadline > self._give_up_at:
            return False
        while not self._abandoned or self._give_up_at is not None:
            if self._hurry != self._roused:
                self._roused = self._hurry
                return True
            remaining = deadline - monotonic()
            if remaining <= 0:
                return True
            self._await_signal(remaining)
        return False

    def time_left(self) -> float | None:
        """Until a caller's deadline; the thread has none."""
        if self._give_up_at is None:
            return None
        return max(_SHORTEST_ATTEMPT, self._give_up_at - monotonic())
