"""RudderHandler: takes records that carry an event, and looks after what delivers them.

Nothing runs before the first event. `close` delivers what waits, and the next event opens it
again. A forked child starts anew with an empty queue. The end of the process waits for delivery,
within `shutdown_timeout`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import weakref
from collections.abc import Collection, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ..common.clock import monotonic
from ..common.stderr import to_stderr
from ..common.telling import tell_once
from ..config import Config
from ..config.parsers import LONGEST_WAIT
from ..delivery.ledger import SUPPRESSED, Ledger, Stats
from ..events.defaults import as_json
from ..events.formatter import RudderFormatter
from ..events.records import FormattedNameError, with_event_of_loguru
from ..events.table import DOCUMENTED_EVENT_BYTES
from ..process import ending, exits, forks, members
from ..sinks.base import Forgetting
from .admission import Admission
from .setup import check_files, is_main_thread, tell_of_setup
from .spans import FormatterWithSpan
from .stdlib import (
    NoLock,
    complaint,
    filtered,
    holds_logging_lock,
    to_thread,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..config import Options
    from ..delivery.listener import BatchListener
    from ..events.types import Id
    from ..privacy.stages import Stages
    from ..privacy.suppression import Suppressed
    from .pipeline import Pipeline, Renewal
    from .redacting import FormatterWithRedaction

__all__ = ["RudderHandler", "all_handlers", "close_all", "errors_of_a_call", "flush_all"]

_log = logging.getLogger("rudder_logging")

_HOOKS = ("handle", "filter", "emit", "format")
"""Methods that a subclass or an instance may replace, to see all that leaves."""
_errors: ContextVar[list[Exception] | None] = ContextVar("rudder_logging_errors", default=None)


@contextlib.contextmanager
def errors_of_a_call() -> Iterator[list[Exception]]:
    """Collect what is wrong with an event, for a call that raises it, instead of telling it."""
    errors: list[Exception] = []
    token = _errors.set(errors)
    try:
        yield errors
    finally:
        _errors.reset(token)


class _OwnFormatter(RudderFormatter):
    """A handler's own formatter, which makes no line of a file."""

    shares_records = False


class RudderHandler(Admission):
    """Sends records that carry `extra={"rudder": {...}}` to a RudderStack data plane.

    Logging an event serialises it in the calling thread and puts it into a bounded queue. It
    never blocks (short of `overflow="block"`), does no network I/O (short of `sync_mode`), and
    never raises: what is wrong with an event goes to `handleError` and is counted. Records
    without `rudder` are ignored. Nothing is started before the first event.

    Args:
        write_key: The source's write key, or the environment's `RUDDER_WRITE_KEY`.
        data_plane_url: The data plane's base URL, or the environment's `RUDDER_DATA_PLANE_URL`.
            With the option `relay` neither is needed.
        **options: The other options; the guide `options` has them all. Strings
            and numbers do for each, so JSON and YAML can configure it.

    Raises:
        UnknownOptionError: No option has that name; the message names the nearest.
        ConfigError: An option is missing, malformed or out of range.

    .. versionadded:: 0.1.0
    """

    _renewal: Renewal
    _has_hooks = False
    """The class has hooks of its own."""

    def __init__(
        self,
        write_key: str | None = None,
        data_plane_url: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        # True if class or instance has hooks of its own: each event then goes by all. It is kept on
        # the instance, because a look at the class costs 0.05 us, several times for an event.
        self._is_hooked = self._has_hooks
        self.config = Config.load(write_key=write_key, data_plane_url=data_plane_url, **options)
        # Not with the package, to keep that cheap. And in the app's thread: were it imported by
        # the listener, a fork meanwhile would leave the child waiting for the import for ever.
        from . import outlets  # noqa: PLC0415
        from .pipeline import Pipeline  # noqa: PLC0415

        check_files(self.config)
        self._kept_back: list[Suppressed] = []
        self._pending_of: set[str] = set()
        self._stages = self._make_stages()
        sees_all = (
            self.config.before_send is not None
            or not self.config.send
            or (self._stages is not None and not self._stages.in_encoders)
        )
        large = min(self.config.max_event_bytes, DOCUMENTED_EVENT_BYTES)
        self._odd_from = 0 if sees_all else large
        self._opened = Pipeline.open(self.config, outlets.in_force())
        self._keep_back_pending()
        self._wind_up_when_forgotten()
        # Only now does logging know the handler: one that could not be made must not stay in
        # logging's list, where the next dictConfig would try to close it.
        super().__init__()
        self.setFormatter(None)
        # Records alive that have been here: one may come twice, by a child logger and by root.
        # The references leave by themselves, so an address used again is not mistaken.
        self._seen: set[weakref.ref[logging.LogRecord]] = set()
        self._forget = self._seen.discard
        self._last: weakref.ref[logging.LogRecord] | None = None
        tell_of_setup(
            debug=self.config.debug,
            without_threads=not self.config.sync_mode and not forks.threads_run(),
            without_sigterm=self.config.drain_on_sigterm and not is_main_thread(),
            in_clear=self.config if self.config.is_in_clear else None,
            has_key_for_relay=self.config.relay is not None and write_key is not None,
        )
        self._close_by = math.inf
        forks.add_forkable(self)
        queue = self._pipeline.queue
        queue.recover()
        if queue.depth().events and not self._pipeline.is_synchronous:
            self._listener.ensure_running()  # processes that have ended left events behind

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Look once if the class has hooks of its own."""
        super().__init_subclass__(**kwargs)
        cls._has_hooks = any(
            getattr(cls, name) is not getattr(RudderHandler, name) for name in _HOOKS
        )

    def __setattr__(self, name: str, value: object) -> None:
        """Notice a hook that is set on the instance."""
        super().__setattr__(name, value)
        if name in _HOOKS:
            self._is_hooked = True

    def __delattr__(self, name: str) -> None:
        """Notice that one is gone."""
        super().__delattr__(name)
        if name in _HOOKS and self.__dict__.keys().isdisjoint(_HOOKS):
            self._is_hooked = self._has_hooks

    # logging.Handler's own methods, in the order in which logging calls them.

    def createLock(self) -> None:  # noqa: N802 - logging's name
        """Have none that holds: nothing here needs it, and `logging.shutdown` takes it to flush."""
        self.lock = NoLock()  # type: ignore[assignment]  # a lock to whoever asks

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - logging's name
        """Use another RudderFormatter, which may bring its own `context` and `integrations`.

        Any other formatter can't make messages: it is left aside with a warning, because a loop
        over all handlers must not stop the events.
        """
        if fmt is None:
            fmt = _OwnFormatter()
        if not isinstance(fmt, RudderFormatter):
            _log.warning(
                "RudderHandler keeps its RudderFormatter: %s can't make messages; "
                "leave `formatter` out, or use rudder_logging.RudderFormatter",
                type(fmt).__name__,
            )
            return
        super().setFormatter(fmt)
        own = as_json(self.config.context), as_json(self.config.integrations)
        self._defaults = fmt.event_defaults.under(*own)
        inner: RudderFormatter | FormatterWithRedaction = fmt
        if self._stages is not None and self._stages.in_encoders:
            from .redacting import FormatterWithRedaction  # noqa: PLC0415 - few ask for it

            self._defaults = self._stages.redaction.defaults(self._defaults)
            inner = FormatterWithRedaction(fmt, self._stages.redaction)
        self._formatter = FormatterWithSpan(inner) if self.config.trace_context else inner

    def _make_stages(self) -> Stages | None:
        """Make the stages of `privacy`; None: nothing is asked for, and nobody is suppressed."""
        suppression = sys.modules.get("rudder_logging.privacy.suppression")
        everywhere = [suppression.EVERYWHERE] if suppression else []
        if self.config.privacy is None and not any((*everywhere, *self._kept_back)):
            return None
        from ..privacy.options import Privacy  # noqa: PLC0415 - few ask for it
        from ..privacy.stages import Stages  # noqa: PLC0415 - as above

        self._kept_back[:0] = everywhere
        return Stages(self.config.privacy or Privacy(redact=()), self._kept_back)

    def suppress(self, *ids: Id, erase_pending: bool = True) -> int:
        """Do as `rudder_logging.suppress`, for this handler alone."""
        from ..privacy.suppression import Suppressed, checked_ids  # noqa: PLC0415 - as above

        known = checked_ids(ids)
        self._kept_back.append(Suppressed(known))
        return self.keep_back(known, erase_pending=erase_pending)

    def keep_back(self, ids: Collection[str], *, erase_pending: bool) -> int:
        """Begin to, or go on to, keep back what `suppress` names. Returns how much was dropped."""
        if self._stages is None:
            self._stages = self._make_stages()
        stages = self._stages
        if stages is None or not ids:
            return 0
        stages.look_at_all()
        self._odd_from = 0
        self.setFormatter(self.formatter)
        if not erase_pending:
            return 0
        from ..events.persons import concerns  # noqa: PLC0415 - few ask for it

        people = stages.as_sent(ids)
        self._pending_of |= people
        pipeline = self._pipeline
        self._keep_back_pending()
        erased = pipeline.ledger.erase(pipeline.queue, people, SUPPRESSED)
        pipeline.reports.dropped(erased, SUPPRESSED)
        pipeline.reports.erase_letters(concerns(people))
        if isinstance(pipeline.listener.sender.sink, Forgetting):
            pipeline.listener.forget(people)
        elif self.config.relay is not None:
            tell_once(
                self.config.relay,
                "the relay's engine can't forget people: what it has of those who are suppressed "
                "is delivered, unless its own tools delete it",
            )
        return len(erased)

    def _keep_back_pending(self) -> None:
        """Have nothing leave that waits, of people who are suppressed by now."""
        if self._stages is None:
            return
        from ..events.persons import concerns_unclosed  # noqa: PLC0415 - few ask for it

        named = concerns_unclosed(self._pending_of) if self._pending_of else None
        tests = [test for test in (self._stages.of_listed(), named) if test is not None]
        if tests:
            self._pipeline.queue.keep_back(lambda message: any(test(message) for test in tests))

    def handle(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Filter and emit a record, unless it has been here before.

        Without filters, a record that carries no event is left alone at once. A filter may make an
        event of it, or return another record (from Python 3.12). loguru's events are found, too.

        Never raises: what a filter raises goes to `handleError`, and counts in `Stats.invalid`.
        """
        given, attributes = record, record.__dict__
        if attributes.get("rudder") is None:
            # This look costs an ordinary log line 0.015 us.
            if "extra" in attributes and (found := with_event_of_loguru(record)) is not None:
                record = found
            elif not (self.filters or self._is_hooked):
                return False
        # `_was_last` is for a class of the app's that has no hash.
        try:
            reference = weakref.ref(given, self._forget)
            if reference in self._seen:
                return False
            self._seen.add(reference)
        except TypeError:
            if self._was_last(given):
                return False
        if not (self.filters or self._is_hooked):
            self.emit(record)
            return True
        try:
            passed = self._filter(record)
        except Exception as error:  # noqa: BLE001 - a filter of the app's may raise anything
            self._tell(record, error)
            return False
        if passed:
            self.emit(filtered(record, passed))
        return passed

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record's event, if it has one. Never raises."""
        try:
            self._accept(record)
        except Exception as error:  # noqa: BLE001 - a value's conversion may raise anything
            self._tell(record, error)

    def format(self, record: logging.LogRecord) -> str:
        """A record's event as a line of JSON, with what the handler adds to each.

        A subclass may return another: it is what is sent.
        """
        with self._formatter.with_defaults(self._defaults):
            return self._formatter.format(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Tell on stderr that a record was not accepted, unless `logging.raiseExceptions` is off.

        Unlike the standard library's, the text has neither message nor arguments of the record.
        """
        error = sys.exc_info()[1]
        was_told = isinstance(error, FormattedNameError) and not error.is_new
        if was_told or not logging.raiseExceptions:
            return
        with contextlib.suppress(Exception):
            to_stderr(complaint(record, error))

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]
        """Have every event that was queued before this call settled.

        Uploads start at once, waits for a next attempt end. Events that wait for a transaction's
        commit (see `on_commit`) are not waited for.

        Args:
            timeout: Seconds to wait at the most; by default the option `shutdown_timeout`.
                Called with the logging module's lock held (as `dictConfig` does), or from
                `on_error` and `on_drop`, it does not wait.

        Returns:
            True if all are settled: delivered, refused, or dropped and counted. False, too, if the
            durable queue has events of a process that has ended which can't be read, or if a queue
            of the app's raises.
        """
        if self._is_unused():
            return True
        if timeout is None:
            timeout = self.config.shutdown_timeout
        timeout = min(timeout, LONGEST_WAIT)
        with self._listener.telling_of_bugs():
            return self._flush(timeout)
        return False

    def _flush(self, timeout: float) -> bool:
        queue = self._pipeline.queue
        mark = queue.mark()
        if queue.wait_until_settled(mark, 0):
            return True
        if self._pipeline.delivers_itself or not self._listener.ensure_running():
            with ending.keeping_the_process():
                self._listener.drain(timeout)
            return queue.wait_until_settled(mark, 0)
        self._listener.hurry()
        return queue.wait_until_settled(mark, self._patience(timeout))

    def close(self) -> None:
        """Deliver what waits, let go of thread and connections. The next event opens it again.

        An event that waits for a transaction's commit goes on waiting; the commit opens it again,
        too.

        Waits for `shutdown_timeout` at the most. Whatever is left then, or if the wait is
        impossible (see `flush`), goes on being delivered in the background.
        """
        super().close()
        if not self._is_unused():
            with self._listener.telling_of_bugs():
                self._close()

    def _close(self) -> None:
        seconds = min(self.config.shutdown_timeout, max(0.0, self._close_by - monotonic()))
        patience = self._patience(seconds)
        if ending.since is not None:
            self._listener.awaits_close = False
            exits.finish(self._listener)
            if self._listener.unattended:
                self._listener.release()
        elif self._pipeline.is_synchronous:
            self._listener.drain(patience)
            self._listener.release()
        elif not self._listener.unattended:
            self._listener.stop(patience)
        self._pipeline.reports.final_lines()

    async def aflush(self, timeout: float | None = None) -> bool:
        """Do as `flush`, without blocking the event loop."""
        return await to_thread(self.flush, timeout)

    async def aclose(self) -> None:
        """Do as `close`, without blocking the event loop."""
        await to_thread(self.close)

    # What is ours.

    def handle_or_raise(self, record: logging.LogRecord) -> None:
        """Do as `handle`, whatever the level, but raise what is wrong with the event.

        Raises:
            InvalidEventError: It can't be sent as it is; counted in `Stats.invalid`.
            Exception: Whatever a filter raises; counted there, too.
        """
        with errors_of_a_call() as errors:
            self.handle(record)
        if errors:
            raise errors.pop()

    def _tell(self, record: logging.LogRecord, error: Exception) -> None:
        """Tell whoever made the call, or else stderr, what is wrong."""
        errors = _errors.get()
        if errors is None:
            self.handleError(record)
        else:
            errors.append(error)

    def await_close(self) -> None:
        """Called when the process ends, and logging will close this: until then, events gather."""
        if not self._is_unused():
            self._listener.awaits_close = True

    def close_by(self, deadline: float) -> None:
        """Do as `close`, and wait until the monotonic `deadline` at the most."""
        self._close_by = deadline
        try:
            self.close()
        finally:
            self._close_by = math.inf

    def retire(self) -> None:
        """Close without waiting: what is queued is delivered in the background."""
        if not self._is_unused() and not self._listener.unattended:
            self._listener.enqueue_sentinel()

    def _wind_up_when_forgotten(self) -> None:
        """Have what is queued delivered even if the handler is forgotten."""
        self._finalizer = weakref.finalize(self, exits.wind_up, self._pipeline.listener)
        self._finalizer.atexit = False

    def stats(self) -> Stats:
        """Counts of all events so far, and the present state."""
        return self._ledger.snapshot(self._pipeline.queue)

    def __repr__(self) -> str:
        level = logging.getLevelName(self.level)
        return f"<RudderHandler to {self.config.destination} ({level})>"

    @property
    def _listener(self) -> BatchListener:
        return self._pipeline.listener

    @property
    def _ledger(self) -> Ledger:
        return self._pipeline.ledger

    def _is_unused(self) -> bool:
        """Tell if no event was logged since the fork that this process began with."""
        return self._opened is None

    def _filter(self, record: logging.LogRecord) -> bool | logging.LogRecord:
        try:
            return self.filter(record)
        except Exception:
            if record.__dict__.get("rudder") is not None:
                self._ledger.count_invalid()
            raise

    def _was_last(self, record: logging.LogRecord) -> bool:
        """Say if this very record has just been here: it is known until the next."""
        last, self._last = self._last, weakref.ref(record)
        return last is not None and last() is record

    def _patience(self, timeout: float) -> float:
        """The time-out, or 0 where waiting for the listener would be waiting for ourselves."""
        if self._listener.is_deliverer() or holds_logging_lock():
            return 0.0
        return timeout

    def after_fork(self) -> None:
        """In a forked child: let go of what is the parent's.

        The first event makes this process's own pipeline.
        """
        if self._opened is not None:
            self._finalizer.detach()  # it keeps the parent's backlog in memory
        self._renewal = (self._opened or self._renewal).after_fork()
        self._opened = None

    def _open(self) -> Pipeline:
        renewal = self._renewal
        with renewal.lock:
            if self._opened is None:
                pipeline = renewal.open()
                # In statements that call no function in Python, our `__setattr__` among them: there
                # CPython lets in no signal handler that logs, and would have been here itself.
                if self._renewal is renewal and self._opened is None:
                    object.__setattr__(self, "_opened", pipeline)
                    self._wind_up_when_forgotten()
                else:  # the queue is to tell the one that is used
                    self._pipeline.queue.attach(self._pipeline.reports)
        return self._pipeline


def all_handlers() -> list[RudderHandler]:
    """All RudderHandlers of this process, wherever they are in use."""
    return [one for one in members.forkables() if isinstance(one, RudderHandler)]


def flush_all(timeout: float | None = None) -> list[RudderHandler]:
    """Flush all handlers, together: their events leave at the same time.

    Args:
        timeout: Seconds to wait at the most; by default each handler's `shutdown_timeout`.

    Returns:
        The handlers with events that are not settled.
    """
    begun = monotonic()
    handlers = all_handlers()
    for handler in handlers:
        handler.flush(0)
    unsettled = []
    for handler in handlers:
        patience = handler.config.shutdown_timeout if timeout is None else timeout
        if not handler.flush(max(0.0, begun + patience - monotonic())):
            unsettled.append(handler)
    return unsettled


def close_all() -> None:
    """Close all handlers, together; the next event opens each again."""
    begun = monotonic()
    handlers = all_handlers()
    for handler in handlers:
        handler.retire()
    for handler in handlers:
        handler.close_by(begun + handler.config.shutdown_timeout)
