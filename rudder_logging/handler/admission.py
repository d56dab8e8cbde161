"""Admission: decides if an event may enter the queue, and what becomes of one that may not.

An event may be refused, edited or dropped by `before_send`, too large, find the queue full, or be
interrupted on its way. Each is counted once, so that the ledger balances.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..common.locks import OrphanedError
from ..delivery.reports import without_content
from ..events.records import RECORD_IDS
from ..events.table import DOCUMENTED_EVENT_BYTES, check_size
from ..exceptions import QueueFullError
from ..process import ending, exits
from . import commits
from .before_send import edited_by, edited_line
from .commits import Uncommitted, Wait
from .stdlib import OTHER_LOGGERS, is_feedback

if TYPE_CHECKING:
    from ..config import Config
    from ..events.defaults import Defaults
    from ..events.formatter import RudderFormatter
    from ..privacy.stages import Stages
    from .pipeline import Pipeline
    from .redacting import FormatterWithRedaction
    from .spans import FormatterWithSpan

__all__ = ["Admission"]


class Admission(logging.Handler):
    """A RudderHandler, as far as it lets events in.

    It is a base class, not an object: another frame makes each log call slower.
    """

    config: Config
    _opened: Pipeline | None
    """This process's. None in a forked child, until it is used: see `_open`."""
    _formatter: RudderFormatter | FormatterWithSpan | FormatterWithRedaction
    _defaults: Defaults
    _is_hooked: bool
    _stages: Stages | None
    """Of the option `privacy`; None: all may leave."""
    _odd_from: int
    """Bytes from which on `_looked_at` has to see a message: it may be too large, or more than is
    documented. 0: it has to see each. One comparison for all that is rare saves a call 2 %."""

    def _open(self) -> Pipeline:
        """Make the pipeline of this process, at its first use."""
        raise NotImplementedError

    @property
    def _pipeline(self) -> Pipeline:
        return self._opened or self._open()

    @property
    def looks_at_records(self) -> bool:
        """True if something of the app's sees records. Else `accept` does as `handle_or_raise`."""
        return bool(self.filters) or self._is_hooked or self._formatter.is_hooked

    def _accept(self, record: logging.LogRecord) -> None:
        given = record.__dict__
        fields = given.get("rudder")
        if fields is None:
            return
        if record.name not in OTHER_LOGGERS and is_feedback(
            record, self._pipeline.listener.is_deliverer
        ):
            return
        # Of arguments, no log call leaves None behind: a queue of logging's own does.
        if record.args is None or RECORD_IDS.wanted or self._formatter.is_hooked or self._is_hooked:
            on_commit = given.get("rudder_on_commit")
            self.accept(fields, record.msg, record.created, on_commit, record)
        elif "rudder_on_commit" in given:  # a `get` costs 53 ns more
            self.accept(fields, record.msg, record.created, given["rudder_on_commit"])
        else:
            self.accept(fields, record.msg, record.created)

    def _message_of(self, record: logging.LogRecord, fields: Mapping[str, Any]) -> bytes:
        if self._formatter.is_hooked or self._is_hooked:
            line = edited_line(self.format(record))
            return line if self._stages is None else self._stages.redacted_by_encoders(line)
        return self._formatter.message_of(record, fields, self._defaults)

    def accept(
        self,
        fields: Mapping[str, Any],
        template: object,
        created: float,
        on_commit: object = None,
        record: logging.LogRecord | None = None,
    ) -> None:
        """Queue an event, whether a record carries it or not.

        Args:
            fields: As in `extra["rudder"]`.
            template: The log line's, which names the event if the fields don't.
            created: When it was logged, in seconds since the epoch.
            on_commit: The transaction that it waits for; None: the one of the block, if any.
            record: That carries it, if more matters than what the others say.

        Raises:
            InvalidEventError: It can't be sent as it is; counted in `Stats.invalid`.
        """
        try:
            if record is None:
                message = self._formatter.encode(fields, template, created, self._defaults)
            else:
                message = self._message_of(record, fields)
            if len(message) >= self._odd_from:
                passed = self._looked_at(message)
                if passed is None:
                    return
                message = passed
        except Exception:
            self._pipeline.ledger.count_invalid()
            raise
        # Not before: a value's conversion may fork. And not in the `try`, which accounts for an
        # event that was accepted: `_open` may be interrupted.
        pipeline = self._opened or self._open()  # as `_pipeline` has it, without its call
        if on_commit is not None or commits.has_blocks:
            wait = commits.whatever_to_wait_for(on_commit)
            if wait is not None:
                self._await_commit(pipeline, message, wait)
                return
        waiting: int | None
        try:
            try:
                # In here, or a signal handler might raise in between.
                pipeline.ledger.count_accepted()
                waiting = pipeline.queue.put(message)
            except QueueFullError:
                waiting = self._put_by_force(pipeline, message)
        except BaseException as error:
            self._after_failed_put(pipeline, message, error)
            raise
        if waiting is None:
            pipeline.ledger.count_overflow()  # at once: a signal handler comes in with a call
        listener = pipeline.listener
        if (
            waiting is None
            or waiting >= listener.wake_at
            or listener.unattended
            or pipeline.is_synchronous
            or ending.since is not None
        ):
            self._after_put(pipeline, message, waiting)

    def _after_put(self, pipeline: Pipeline, message: bytes, waiting: int | None) -> None:
        """Have an event delivered; or tell that there was no room for it, if None are waiting."""
        if waiting is None:
            pipeline.reports.tell_dropped([message], "queue_full")
            waiting = 0
        listener = pipeline.listener
        if listener.unattended or pipeline.is_synchronous or ending.since is not None:
            self._see_to_delivery(pipeline)
        elif waiting >= listener.wake_at:
            listener.wake()

    def _await_commit(self, pipeline: Pipeline, message: bytes, wait: Wait) -> None:
        """Have an event wait for a transaction's commit, within bounds as large as the queue's."""
        ledger = pipeline.ledger
        too_many = len(ledger.uncommitted) >= self.config.max_queue_size
        if too_many or ledger.uncommitted_bytes + len(message) > self.config.max_queue_bytes:
            ledger.count_accepted()
            self._drop(pipeline, message, "queue_full")
            return
        commits.have_wait(Uncommitted(self, pipeline, message), wait)

    def uses(self, pipeline: Pipeline) -> bool:
        """Tell if it is this process's. The one before a fork is the parent's."""
        return self._opened is pipeline

    def queue_committed(self, event: Uncommitted) -> None:
        """Queue an event whose transaction was committed, unless it waits no more."""
        pipeline, message = self._pipeline, event.message
        try:
            if not event.leave():
                return
            try:
                waiting: int | None = pipeline.queue.put(message)
            except QueueFullError:
                waiting = self._put_by_force(pipeline, message)
        except BaseException as error:
            event.leave()  # if a signal handler raised before it could
            self._after_failed_put(pipeline, message, error)
            raise
        if waiting is None:
            pipeline.ledger.count_overflow()  # as above
        self._after_put(pipeline, message, waiting)

    def drop_uncommitted(self, event: Uncommitted) -> None:
        """Drop an event whose transaction was rolled back, unless it waits no more."""
        if event.leave():
            self._drop(self._pipeline, event.message, "rolled_back")

    def edit_uncommitted(self, event: Uncommitted, message: bytes) -> None:
        """Have an event say something else, which `before_send` sees again: it may remove that."""
        edited: bytes | str = message
        pipeline, stages = self._pipeline, self._stages
        hashed = None
        if stages is not None:
            hashed = stages.redaction.hasher()
            edited = stages.named(message, hashed)
        if isinstance(edited, bytes) and self.config.before_send is not None:
            edited = edited_by(edited, partial(pipeline.reports.call, self.config.before_send))
            if stages is not None and hashed is not None and isinstance(edited, bytes):
                edited = stages.redacted(edited, hashed)
        if isinstance(edited, bytes):
            event.message = edited
        elif event.leave():
            told = message if stages is None else without_content(message)
            self._drop(pipeline, told, edited)

    def drop_all_uncommitted(self) -> None:
        """Do so with all of them: the process ends, and so does each transaction."""
        if self._opened is not None:
            for reference in list(self._opened.ledger.uncommitted):
                event = reference()
                if event is not None:
                    event.roll_back()

    def _looked_at(self, message: bytes) -> bytes | None:
        """The message as the options let it pass; None: it is dropped, and counted."""
        if self._stages is not None:
            private = self._passed(self._stages, message)
            if private is None:
                return None
            message = private
        elif self.config.before_send is not None:
            edited = self._edited(message)
            if edited is None:
                return None
            message = edited
        # Its closing brace is still to come.
        check_size(len(message) + 1, self.config.max_event_bytes)
        if len(message) >= DOCUMENTED_EVENT_BYTES:
            self._pipeline.reports.large(message)
        if self.config.send:
            return message
        pipeline = self._pipeline
        pipeline.ledger.count_accepted()
        self._drop(pipeline, message, "send_off")
        return None

    def _passed(self, stages: Stages, message: bytes) -> bytes | None:
        """The message as `privacy` and then `before_send` let it pass; None: see `_edited`."""
        hashed = stages.redaction.hasher()
        passed = stages.passed(message, hashed)
        if isinstance(passed, bytes) and self.config.before_send is not None:
            edited = self._edited(passed)
            if edited is None:
                return None
            passed = stages.redacted(edited, hashed)
        if isinstance(passed, bytes):
            return passed
        pipeline = self._pipeline
        pipeline.ledger.count_accepted()
        self._drop(pipeline, without_content(message), passed)
        return None

    def _edited(self, message: bytes) -> bytes | None:
        """The message as `before_send` returns it; None: it is dropped, and counted."""
        hook = self.config.before_send
        reports = self._pipeline.reports
        if hook is None or reports.is_inside(hook):
            return message
        edited = edited_by(message, partial(reports.call, hook))
        if isinstance(edited, bytes):
            return edited
        pipeline = self._pipeline
        pipeline.ledger.count_accepted()
        self._drop(pipeline, message, edited)
        return None

    def _put_by_force(self, pipeline: Pipeline, message: bytes) -> int | None:
        """Put a message into a full queue as `overflow` says; None: there is no room."""
        pipeline.listener.end_rest()
        evicted: list[bytes] = []
        waiting: int | None = None
        try:
            while waiting is None and self._make_room(pipeline, len(message), evicted):
                with contextlib.suppress(QueueFullError):
                    waiting = pipeline.queue.put(message)
        except BaseException:
            if waiting is not None:
                pipeline.queue.keeps(message)
            raise
        else:
            return waiting
        finally:
            if evicted:  # told after the put, or `stats()` in `on_drop` would not balance
                pipeline.reports.tell_dropped(evicted, "queue_full")

    def _make_room(self, pipeline: Pipeline, size: int, evicted: list[bytes]) -> bool:
        policy = self.config.overflow
        if policy == "drop_old":
            oldest = pipeline.ledger.evict(pipeline.queue, size, "queue_full")
            evicted += oldest or ()
            return oldest is not None
        if policy == "block" and not pipeline.listener.is_deliverer():
            if pipeline.delivers_itself or not pipeline.listener.ensure_running():
                return pipeline.listener.drain(self.config.block_timeout)
            pipeline.listener.wake()
            return pipeline.queue.wait_for_room(size, self.config.block_timeout)
        return False

    def _after_failed_put(self, pipeline: Pipeline, message: bytes, error: BaseException) -> None:
        """Account for an accepted message whose `put` did not return.

        A queue of the app's raised; or a signal handler did, and our queues know how far it got.
        Or the interpreter is ending, and has ended a thread that was inside the queue.
        """
        if isinstance(error, OrphanedError):
            self._drop(pipeline, message, "shutdown")
        elif pipeline.queue.took(message):
            pipeline.listener.wake()
        elif isinstance(error, Exception) and pipeline.has_queue_of_the_app:
            self._drop(pipeline, message, "queue_failed")
        else:
            self._drop(pipeline, message, "interrupted")

    def _drop(self, pipeline: Pipeline, message: bytes, reason: str) -> None:
        """Count and tell an accepted message that is in no queue, and won't be sent."""
        pipeline.ledger.count_dropped(1, reason)
        pipeline.reports.tell_dropped([message], reason)

    def _see_to_delivery(self, pipeline: Pipeline) -> None:
        """Start a thread that delivers; where none can be relied on, deliver in this one."""
        if ending.since is not None:
            few = pipeline.queue.depth().waiting < self.config.max_queue_size // 2
            if not (pipeline.listener.awaits_close and few):
                exits.finish(pipeline.listener)
        elif pipeline.is_synchronous:
            pipeline.listener.drain(self.config.timeout)
        else:
            # No wake-up: a thread that starts looks at the queue by itself.
            exits.finish_with_worker()
            # If that fails, the next event or the exit tries again.
            pipeline.listener.ensure_running()
