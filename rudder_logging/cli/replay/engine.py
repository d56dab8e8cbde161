"""A replay: from lines to arrivals, an upload at a time, each settled before the next is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from ...checks.drift import Types
from ...checks.plan import TrackingPlan
from ...common.clock import monotonic
from ...delivery.dead_letters import DeadLetters
from ...exceptions import ConfigError, InvalidEventError
from ...handler.before_send import edited_by
from ...sinks.base import MESSAGE_OVERHEAD
from ...sinks.gateway.body import FRAME
from ..common import BadInputError, FailedError, on_signals
from ..shipper import Shipper
from ..sources import Line, Source
from ..stored import Stored, UnsendableError, as_text, read_stored
from .display import Display
from .progress import Mark, Progress, Tally

if TYPE_CHECKING:
    from ...privacy.again import Again

__all__ = ["EVENTS_PER_UPLOAD", "Input", "Replay", "Rules"]

EVENTS_PER_UPLOAD = 1_000
"""At the most; so many may be sent twice if the process is killed."""

_LINES_PER_LOOK = 5_000
_BYTES_PER_LOOK = 4_000_000
_SECONDS_PER_LOOK = 1.0  # of a pipe
_LOOKS_PER_SECOND = 4  # with a bound on the rate


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Which events are sent, and how fast."""

    max_bytes: int
    """Of one event as JSON."""
    since: float | None = None
    """Seconds since the epoch: older ones are not."""
    plan: TrackingPlan | None = None
    hook: Callable[[dict[str, Any]], object] | None = None
    """The option `before_send`."""
    privacy: Again | None = None
    rate: float | None = None
    """Events per second."""
    types: Types | None = None
    """Compares events' types; None: they are not compared."""


@dataclass
class Input:
    """A source, how far it is settled, and where that is kept."""

    source: Source
    mark: Mark
    progress: Progress | None
    has_passed: bool = False
    """It was written behind the option `privacy`."""


class _Item(NamedTuple):
    """A line that was read, and is not settled."""

    line: Line
    kind: str
    """A name in `KINDS`; of what is to be sent `arrived`."""
    queued: bytes = b""
    id: str = ""
    reason: str = ""
    kept: bytes = b""


class Replay:
    """Sends the events of some inputs.

    Args:
        shipper: Sends them.
        rules: Which events are sent, and how fast.
        display: Is told of everything.
        rejects: A file for what can't be sent. What the data plane refuses, delivery puts there.
    """

    def __init__(
        self, shipper: Shipper, rules: Rules, display: Display, rejects: str | None
    ) -> None:
        self._shipper = shipper
        self._rules = rules
        self._display = display
        self._rejects = DeadLetters(rejects) if rejects else None
        self._name = ""
        self._items: list[_Item] = []
        self._bytes = 0
        self._ready = 0  # of the items: to be sent
        self._is_shipping = False
        self._has_passed = False
        self._due = 0.0
        self._per_upload = EVENTS_PER_UPLOAD
        if rules.rate is not None:
            self._per_upload = min(
                EVENTS_PER_UPLOAD, max(1, math.ceil(rules.rate / _LOOKS_PER_SECOND))
            )
        self.sent = 0
        """Events that arrived in this run."""
        self.drifting: set[str] = set()
        """Columns whose types drift, as far as one looks for that."""
        self.is_interrupted = False

    def run(self, inputs: Sequence[Input]) -> None:
        """Send what they have. Ctrl-C ends it, with what is under way settled.

        Raises:
            FailedError: The data plane could not be reached, or a file not be read or written.
        """
        with on_signals(self._stop):
            try:
                for one in inputs:
                    self._replay(one)
            except KeyboardInterrupt:
                self.is_interrupted = True
            except ConfigError as error:  # the plan refers to what it does not have
                raise FailedError(str(error)) from None

    def _replay(self, one: Input) -> None:
        began = monotonic()
        self._name = one.source.name
        self._has_passed = one.has_passed
        lines = one.source.lines()
        while True:
            try:
                line = next(lines, _END)
            except OSError as error:
                raise FailedError(f"{one.source.name} can't be read: {error.strerror}") from None
            except BadInputError as error:  # other files may have been sent before
                raise FailedError(error.message) from None
            if isinstance(line, Line):
                if not self._items:
                    began = monotonic()
                self._look_at(line)
                is_late = not one.source.is_file and monotonic() - began > _SECONDS_PER_LOOK
                if not self._is_full() and not is_late:
                    continue
            self._ship(one)
            if line is _END:
                return

    def _is_full(self) -> bool:
        return (
            self._ready >= self._per_upload
            or len(self._items) >= _LINES_PER_LOOK
            or self._bytes >= _BYTES_PER_LOOK
        )

    # What a line is.

    def _look_at(self, line: Line) -> None:
        self._bytes += len(line.text)
        try:
            item = self._item(line)
        except (UnsendableError, InvalidEventError) as error:
            kept = getattr(error, "kept", line.text)
            if self._rules.privacy is not None:
                kept = self._rules.privacy.rest(kept)
            item = _Item(line, "unsendable", reason=str(error), kept=kept)
        if item is not None:
            self._items.append(item)
            self._ready += item.kind == "arrived"

    def _item(self, line: Line) -> _Item | None:
        if line.is_too_long:
            raise UnsendableError("longer than any event", as_text(b""))
        text = line.text.strip()
        if not text:
            return None
        stored = read_stored(text)
        if stored is None:
            return _Item(line, "ordinary")
        rules = self._rules
        if rules.since is not None:
            moment = stored.moment
            if moment is not None and moment < rules.since:
                return _Item(line, "older")
        return self._to_send(line, stored)

    def _to_send(self, line: Line, stored: Stored) -> _Item:
        event, rules = stored.event, self._rules
        queued = self._as_it_may_leave(stored)
        if not isinstance(queued, bytes):
            if queued == "before_send_failed":
                raise UnsendableError("before_send raised an exception", stored.queued + b"}")
            if queued == "privacy_failed":
                raise UnsendableError("the option privacy raised an exception", b"null")
            return _Item(line, "withheld" if queued == "before_send" else "private")
        if queued is not stored.queued:
            event = orjson.loads(queued + b"}")
        size = len(queued) + MESSAGE_OVERHEAD + FRAME
        if size > rules.max_bytes:
            raise UnsendableError(f"too large for an upload ({size:,} bytes)", queued + b"}")
        if rules.plan is not None:
            verdict = rules.plan.verdict(event)
            if verdict is not None:
                reason, kept = f"not as planned: {verdict}", queued + b"}"
                return _Item(line, "unplanned", reason=reason, kept=kept)
        if rules.types is not None:
            self._remark_on(event, line, rules.types)
        return _Item(line, "arrived", queued, event["messageId"])

    def _remark_on(self, event: Mapping[str, Any], line: Line, types: Types) -> None:
        """Tell each drift once."""
        place = f"{self._name}:{line.number}"
        for drift in types.look_at(event, place):
            self.drifting.add(drift.name)
            if drift.is_new:
                self._display.remark(f"{place}: {drift}")
        if words := types.full():
            self._display.remark(words)

    def _as_it_may_leave(self, stored: Stored) -> bytes | str:
        """The message, or the reason why it may not leave."""
        rules, queued = self._rules, stored.queued
        edit = None if rules.hook is None else partial(_edited, rules.hook)
        if rules.privacy is None:
            return queued if edit is None else edit(queued)
        has_passed = self._has_passed or stored.is_dead_letter
        return rules.privacy.passed(queued, has_passed=has_passed, edit=edit)

    # What becomes of it.

    def _ship(self, one: Input) -> None:
        """Send what was read, and note how far it is settled."""
        if not self._items:
            return
        messages = [item.queued for item in self._items if item.kind == "arrived"]
        self._keep_pace(len(messages))
        self._is_shipping = True
        shipper = self._shipper
        try:
            settled = shipper.ship(messages)
            self._note(one, settled, shipper.refused)
        finally:
            self._is_shipping = False
        if shipper.is_stopped:
            raise KeyboardInterrupt
        if settled < len(messages):
            raise FailedError(f"the data plane took no more: {shipper.fault}")

    def _note(self, one: Input, settled: int, refused: dict[str, str]) -> None:
        """Count the oldest items, and tell of them once that is kept: nobody may be listening."""
        before, tally = one.mark, Tally()
        torn: Tally | None = None
        offset, number = before.offset, before.line
        problems, rejects = [], []
        for item in self._items:
            kind, reason = item.kind, item.reason
            if kind == "arrived":
                if not settled:
                    break
                settled -= 1
                reason = refused.get(item.id, "")
                kind = "refused" if reason else kind
            if kind == "unsendable" and item.line.is_torn:
                torn = tally.copy()  # it may become whole, and is looked at again then
            else:
                offset, number = item.line.end, item.line.number
            tally[kind] += 1
            if reason:
                problems.append(f"{one.source.name}:{item.line.number}: {reason}")
            if kind in ("unsendable", "unplanned"):
                rejects.append(item)
        self._items, self._bytes, self._ready = [], 0, 0
        self.sent += tally["arrived"]
        one.mark = replace(before, offset=offset, line=number, tally=before.tally + tally)
        kept = one.mark if torn is None else replace(one.mark, tally=before.tally + torn)
        self._keep(one, kept, rejects)
        one.source.forget_before(offset)
        self._display.advance(one.source.name, offset - before.offset, tally["arrived"])
        for problem in problems:
            self._display.problem(problem)

    def _keep(self, one: Input, mark: Mark, rejects: Sequence[_Item]) -> None:
        """Write down how far it is settled, and what is not to be sent."""
        where = "the file of rejects"
        try:
            if self._rejects is not None:
                for item in rejects:
                    self._rejects.append(item.kept, 0, item.reason)
            if one.progress is not None:
                where = one.progress.path
                one.progress.note(one.source, mark)
                one.progress.save()
        except OSError as error:
            raise FailedError(f"{where} can't be written: {error.strerror}") from None

    def _keep_pace(self, events: int) -> None:
        rate = self._rules.rate
        if rate is None or not events:
            return
        now = monotonic()
        if self._due > now and not self._shipper.wait(self._due - now):
            raise KeyboardInterrupt
        self._due = max(self._due, now) + events / rate

    def _stop(self, _signal: int, _frame: object) -> None:
        """End waits, and settle what is being sent; but end at once the second time, or if none is.

        While lines are read, nothing of them was sent.
        """
        if not self._is_shipping or self._shipper.is_stopped:
            raise KeyboardInterrupt
        self._shipper.stop()


_END = object()


def _edited(hook: Callable[[dict[str, Any]], object], message: bytes) -> bytes | str:
    return edited_by(message, partial(_call, hook))


def _call(hook: Callable[[dict[str, Any]], object], event: dict[str, Any]) -> object:
    """Call the app's hook; return its result, or its exception."""
    try:
        return hook(event)
    except Exception as error:  # noqa: BLE001 - an app's hook may raise anything
        return error
