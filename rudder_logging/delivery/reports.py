"""Reports to operators and the app: callbacks, one rate-limited line, dead letters.

Never a payload, never a write key: ids, counts and the server's words only. Nothing here is
called with a lock held, because logging and callbacks may take any lock of the app's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from ..common.clock import monotonic
from ..common.printable import printable
from ..common.stderr import tell_undelivered, undelivered
from ..common.telling import place_of_error
from ..events.table import DOCUMENTED_EVENT_BYTES
from ..exceptions import DeliveryError, RefusedError
from .dead_letters import DeadLetters
from .ledger import SUPPRESSED, Ledger
from .retry import Trouble

__all__ = [
    "Reports",
    "decode",
    "message_id",
    "without_content",
]

_log = logging.getLogger("rudder_logging")

_MOST_NAMES_TOLD = 100
_LONGEST_NAME_TOLD = 64
_SECONDS_BETWEEN_LINES = 10.0
_OUTAGE = "outage"  # one state whatever the fault, which may change from attempt to attempt
_CURE_OF_A_FULL_QUEUE = (
    '; overflow="block" has a job wait for room, block_timeout says how long, max_queue_size and '
    "max_queue_bytes (a durable queue's max_bytes) make more of it, and "
    'queue="file:///directory" puts it on the disk'
)
_TOLD = ("messageId", "type", "event", "name")
_EXPECTED = frozenset(
    {
        "before_send",
        "captured",
        "consent",
        "denied",
        "rolled_back",
        "sampled",
        "send_off",
        "shutdown",
        "suppressed",
    }
)
"""Drops that the app asked for, or that have a line of their own."""


def decode(message: bytes) -> dict[str, Any]:
    """A queued message, which lacks its closing brace, as what callbacks receive."""
    event: dict[str, Any] = orjson.loads(message + b"}")
    return event


def message_id(message: bytes) -> str:
    """The id of a queued message, for a log line."""
    return printable(str(decode(message).get("messageId")))


def without_content(message: bytes) -> bytes:
    """As much of a queued message as anybody is told if it does not leave: id, type and name."""
    event = decode(message)
    return orjson.dumps({key: event[key] for key in _TOLD if key in event})[:-1]


class Reports:
    """Tells of drops, refusals and holds, by callback and by log line."""

    _expected = _EXPECTED

    def __init__(
        self,
        ledger: Ledger,
        *,
        on_error: Callable[[Exception, list[dict[str, Any]]], object] | None = None,
        on_drop: Callable[[dict[str, Any], str], object] | None = None,
        dead_letter: str | None = None,
    ) -> None:
        self._ledger = ledger
        self._on_error = on_error
        self._on_drop = on_drop
        self._dead_letters = DeadLetters(dead_letter) if dead_letter else None
        self._dead_letters_failed = False
        self._reported: dict[str, int] = {}
        self._told_of_room = False
        self._last_drop_line = float("-inf")
        self.given_up = ""
        """The reason why an upload was given up, the last time."""
        self.trouble = Trouble()
        """Time since nothing could be delivered."""
        self._told: str | None = None  # what is wrong
        self._lasted = ""  # for how long something was
        self._waiting = 0  # events, in an outage
        # The last line that told of trouble (True), and of its end.
        self._last_state_line = {True: float("-inf"), False: float("-inf")}
        self._line_lock = threading.Lock()
        self._calling = threading.local()
        self._told_large: set[object] = set()

    def large(self, message: bytes) -> None:
        """Tell of an event that has more bytes than RudderStack promises to take, once a name."""
        if len(self._told_large) >= _MOST_NAMES_TOLD:
            return
        event = decode(message)
        name = str(event.get("event") or event.get("name") or "")
        kind = f"{event.get('type')} {name[:_LONGEST_NAME_TOLD]!r}" if name else event.get("type")
        if kind not in self._told_large:
            self._told_large.add(kind)
            _log.warning(
                "the event %s has %d bytes, over the %d that RudderStack documents: servers take "
                "it, but a destination may not; send less with it (said once a name)",
                kind,
                len(message) + 1,
                DOCUMENTED_EVENT_BYTES,
            )

    def is_inside(self, callback: Callable[..., Any] | None) -> bool:
        """Tell if this thread is inside that callback, which must not call itself without end."""
        return callback in getattr(self._calling, "callbacks", ())

    def dropped(self, messages: Iterable[bytes], reason: str) -> None:
        """Hand events that are dropped to `on_drop`.

        What `on_drop` itself logs, and the queue has no room for either, is counted only. Of people
        who are suppressed, it hears no content.
        """
        if self._on_drop is not None and not self.is_inside(self._on_drop):
            for message in messages:
                told = without_content(message) if reason == SUPPRESSED else message
                self.call(self._on_drop, decode(told), reason)

    def refused(self, message: bytes, error: RefusedError, *, keeps: bool = True) -> None:
        """Tell that the data plane refused an event for good.

        Args:
            message: The event.
            error: Why.
            keeps: It goes to the dead letters. Else it is somebody's who was suppressed meanwhile,
                and nobody is told its content.
        """
        _log.error("event %s: %s", message_id(message), error)
        if keeps:
            self._bury(message + b"}", error.status, error.reason)
        else:
            message = without_content(message)
        if self._on_drop is not None:
            reason = f"refused: {error.status} {error.reason}"
            self.call(self._on_drop, decode(message), reason)
        self.failed(error, [message])

    def erase_letters(self, matches: Callable[[bytes], bool]) -> None:
        """Erase dead letters whose messages match, as JSON."""
        if self._dead_letters is None:
            return
        try:
            self._dead_letters.erase(matches)
        except OSError as failure:
            _log.error(
                "dead letters of people who are suppressed can't be erased (%s); once that is "
                "mended, rudder-logging forget --dead-letter FILE does it",
                failure.strerror,
            )

    def _bury(self, message: bytes, status: int, reason: str) -> None:
        if self._dead_letters is not None:
            try:
                self._dead_letters.append(message, status, reason)
            except OSError as failure:
                if not self._dead_letters_failed:
                    _log.error(
                        "dead letters can't be written (%s); check the option dead_letter",
                        failure.strerror,
                    )
                self._dead_letters_failed = True

    # What a queue tells: see the protocol `Observer`.

    def count_adopted(self, number: int) -> None:
        """See `Observer.count_adopted`."""
        self._ledger.count_adopted(number)

    def count_dropped(self, number: int, reason: str) -> None:
        """See `Observer.count_dropped`."""
        self._ledger.count_dropped(number, reason)

    def tell_dropped(self, messages: Iterable[bytes], reason: str) -> None:
        """See `Observer.tell_dropped`: to `on_drop`, and in the line that tells of drops."""
        self.dropped(messages, reason)
        self.drop_line()

    def unreadable(self, line: bytes, reason: str) -> None:
        """See `Observer.unreadable`. What may be of use to a human goes to the dead letters.

        Nothing of a torn line does: its event's call never returned.
        """
        if reason != "spool_torn":
            self._bury(orjson.dumps(line.decode("utf-8", "replace")), 0, reason)
        if self._on_drop is not None:
            self.call(self._on_drop, {}, reason)
        self.drop_line()

    def storage_fault(self, fault: str | None, *, is_new: bool) -> None:
        """See `Observer.storage_fault`."""
        if fault is None:
            _log.warning("the queue's directory is well again; events are stored there")
            return
        self._ledger.count_spool_error()
        if is_new:
            _log.error(
                "the queue's directory fails: %s. Until it is well, events that it does not take "
                "wait in memory, and those that can't be read wait there",
                fault,
            )

    def remark(self, text: str) -> None:
        """See `Observer.remark`."""
        _log.warning("%s", text)

    # What delivery tells.

    def failed(self, error: DeliveryError, messages: Sequence[bytes]) -> None:
        """Hand an error, and the events that it concerns, to `on_error`."""
        if self._on_error is not None:
            self.call(self._on_error, error, [decode(message) for message in messages])

    def shutdown(
        self,
        messages: Sequence[bytes],
        holding: str | None,
        tell: Callable[[int, str | None], object] = tell_undelivered,
    ) -> None:
        """Tell that the process ends with events undelivered.

        Args:
            messages: The events.
            holding: Why they were held, if they were.
            tell: Says so for this handler, or for several.
        """
        error = undelivered(len(messages), holding)
        tell(len(messages), holding)
        if self._on_drop is not None:
            for message in messages:
                self.call(self._on_drop, decode(message), "shutdown")
        self.failed(error, messages)

    def is_called_by_thread(self) -> None:
        """Note that this thread is the listener's own: it has no exceptions but the callbacks'.

        So none of them may end it, be it `SystemExit`: its event would never be settled.
        """
        self._calling.is_own = True

    def call(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Call back into the app; what that raises is counted and logged, and returned.

        In an app's thread, only an `Exception` is: the others, Ctrl-C say, are for others.
        """
        outer = getattr(self._calling, "callbacks", ())
        self._calling.callbacks = (*outer, callback)
        try:
            return callback(*args)
        except BaseException as error:  # an app's callback may raise anything
            if not (isinstance(error, Exception) or getattr(self._calling, "is_own", False)):
                raise
            self._ledger.count_callback_error()
            # Not the exception's text: it may quote the event.
            _log.error(
                "callback %s raised %s at %s",
                getattr(callback, "__qualname__", type(callback).__name__),
                type(error).__name__,
                place_of_error(error),
            )
            return error
        finally:
            self._calling.callbacks = outer

    def state_line(self, *, final: bool = False) -> None:
        """Say that events are held or can't be delivered, or that they are, if that is news.

        There is one line of each kind in ten seconds: a source that is toggled all the time gives
        no line each time. What is not said then is said at a later call, if it still holds. What
        lasts is said again, more and more rarely.

        Args:
            final: Say what is news however recent the last line was.
        """
        holding, now = self._ledger.holding, monotonic()
        state = holding or (_OUTAGE if self._ledger.outage else None)
        is_again = state is not None and state == self._told and not self.trouble.until_told(now)
        if state == self._told and not is_again:
            return
        kind = state is not None
        if not final and now - self._last_state_line[kind] < _SECONDS_BETWEEN_LINES:
            return
        lasted = _duration(self.trouble.lasted(now))
        self._last_state_line[kind], self._told = now, state
        if state is None:
            _log.warning("delivery resumes%s", f" after {self._lasted}" if self._lasted else "")
            return
        self.trouble.told(now)
        if holding is None:
            _log.warning(
                "nothing was delivered for %s: %s. %d events wait; delivery goes on trying",
                lasted,
                self._ledger.outage,
                self._waiting,
            )
        else:
            _log.error(
                "events are held%s, none is lost: %s. Delivery resumes by itself once that is "
                "mended",
                f" for {lasted}" if is_again else "",
                holding,
            )

    def failing(
        self, error: DeliveryError, cure: str, messages: Sequence[bytes], waiting: int
    ) -> None:
        """Note a failure that may pass. If it lasts, tell, and `on_error` hears once.

        Args:
            error: Why.
            cure: What mends it.
            messages: What was sent.
            waiting: How many events are not settled.
        """
        now = monotonic()
        self.trouble.begin(now)
        if self._ledger.holding or self.trouble.lasted(now) < self.trouble.SECONDS_BEFORE_TOLD:
            return
        is_news = self._ledger.outage is None
        self._ledger.outage = f"{error}; {cure}"
        self._waiting = waiting
        self.state_line()
        if is_news:
            self.failed(error, messages)

    def holds(self, error: DeliveryError, messages: Sequence[bytes]) -> None:
        """Note that events are held, and tell."""
        self.trouble.begin(monotonic())
        fault = str(error)
        is_news = self._ledger.holding != fault
        self._ledger.holding, self._ledger.outage = fault, None
        self.state_line()
        if is_news:
            self.failed(error, messages)

    def well(self) -> None:
        """Note that something was delivered, or at least answered."""
        if self._ledger.holding or self._ledger.outage:
            self._lasted = _duration(self.trouble.lasted(monotonic()))
        self._ledger.holding = self._ledger.outage = None
        self.trouble.end()
        self.state_line()

    def final_lines(self) -> None:
        """Tell all that is still untold."""
        self.state_line(final=True)
        self.drop_line(final=True)

    def drop_line(self, *, final: bool = False) -> None:
        """Say what was dropped since the last such line, if that was ten seconds ago.

        Args:
            final: Say it however recent the last line was, if there is anything new.
        """
        now = monotonic()
        if not final and now - self._last_drop_line < _SECONDS_BETWEEN_LINES:
            return
        # Not blocking: whoever interrupts the holder finds its drops in the holder's line.
        if not self._line_lock.acquire(blocking=False):
            return
        try:
            totals = self._ledger.dropped()
            news = {
                reason: count - self._reported.get(reason, 0)
                for reason, count in sorted(totals.items())
                if reason not in self._expected and count > self._reported.get(reason, 0)
            }
            self._last_drop_line, self._reported = now, totals
        finally:
            self._line_lock.release()
        if news:
            reasons = ", ".join(f"{reason}: {count}" for reason, count in news.items())
            cure = ""
            if "queue_full" in news and not self._told_of_room:
                self._told_of_room = True
                cure = _CURE_OF_A_FULL_QUEUE
            if "retries_exhausted" in news and self.given_up:
                cure += f"; given up for: {self.given_up}"
            _log.warning("dropped %d events (%s)%s", sum(news.values()), reasons, cure)


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
