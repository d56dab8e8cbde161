"""An app's tests see its events here: `capture_events`, which the fixture `rudder_events` uses.

    with capture_events() as events:
        complete_order("123")
    events.one(type="track", event="Order Completed", user_id="123")

Events come in where a handler would queue them; out come records of them, to be compared. None is
queued or sent meanwhile.

- `diversion.py`: takes events from the handlers; `layers.py`: methods replaced for a while
- `recorder.py`: keeps them; `matching.py`: compares them with what a test expects
- `watch.py`: the checks of the pytest plugin: no event was lost
- `session_types.py`: another: no column's type drifts, in a session and over time
- `buffer_contract.py`: the tests that a buffer of the app's has to pass
- `sink_contract.py`: the tests that a sink of the app's has to pass
- `engine_contract.py`, `source_contract.py`: the tests for engines and sources of a relay
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, overload

from ..common.clock import wait_until
from ..exceptions import InvalidEventError
from .buffer_contract import BufferContract
from .diversion import start, stop
from .engine_contract import EngineContract
from .matching import closest, describe, differences, expectation, in_words, listed
from .recorder import RecordedEvent, Recorder, Refusal
from .sink_contract import SinkContract
from .source_contract import SourceContract

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "BufferContract",
    "CapturedEvents",
    "EngineContract",
    "Events",
    "RecordedEvent",
    "Refusal",
    "SinkContract",
    "SourceContract",
    "capture_events",
]

_LONGEST_REPR = 200  # pytest shows a little more of one


class Events(Sequence[RecordedEvent]):
    """Events in the order of their calls: all that were captured, or some of them.

    Each of the methods named after a type selects events of that type. What is expected of them
    are fields by name, in snake_case or camelCase; of mappings, those keys that matter. A value is
    as the app gives it (a `Decimal`, a date), or equal to what is on the wire (`pytest.approx`,
    `unittest.mock.ANY`). None says that the field is not there.

    They equal a list of the same messages, whole, and other events that hold the same ones.

    .. versionadded:: 0.1.0
    """

    def __init__(
        self,
        read: Callable[[], Sequence[RecordedEvent]],
        wanted: str | None = None,
        among: Events | None = None,
        plans_in: str | os.PathLike[str] = "",
    ) -> None:
        self._read = read
        self._wanted = wanted
        self._among = among
        self._plans_in = plans_in

    # A sequence.

    @property
    def all(self) -> list[RecordedEvent]:
        """All of them, in a new list."""
        return list(self._read())

    @overload
    def __getitem__(self, index: int) -> RecordedEvent: ...
    @overload
    def __getitem__(self, index: slice) -> list[RecordedEvent]: ...
    def __getitem__(self, index: int | slice) -> RecordedEvent | list[RecordedEvent]:
        return self.all[index]

    def __len__(self) -> int:
        return len(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, (list, Events)):
            return self.all == list(other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # what they equal changes

    def __repr__(self) -> str:
        events = self.all
        if not events and self._wanted and self._among is not None:
            return f"<no {self._wanted} among {repr(self._among)[1:-1]}>"
        number = f"{len(events)} event{'' if len(events) == 1 else 's'}"
        texts = ", ".join(f"{describe(event)} at {event.place}" for event in events)
        if len(texts) > _LONGEST_REPR:
            texts = f"{texts[:_LONGEST_REPR]}..."
        return f"<{number}: {texts}>" if events else f"<{number}>"

    # Some of them.

    def matching(self, **expected: Any) -> Events:
        """Events that have all that is expected."""
        return self._select(expectation(expected))

    def track(self, event: str | None = None, **expected: Any) -> Events:
        """Events of type `track`, of that event name."""
        return self._of_type("track", expected, event=event)

    def identify(self, user_id: str | int | None = None, **expected: Any) -> Events:
        """Events of type `identify`, of that user."""
        return self._of_type("identify", expected, user_id=user_id)

    def page(self, name: str | None = None, **expected: Any) -> Events:
        """Events of type `page`, of that name."""
        return self._of_type("page", expected, name=name)

    def screen(self, name: str | None = None, **expected: Any) -> Events:
        """Events of type `screen`, of that name."""
        return self._of_type("screen", expected, name=name)

    def group(self, group_id: str | int | None = None, **expected: Any) -> Events:
        """Events of type `group`, of that group."""
        return self._of_type("group", expected, group_id=group_id)

    def alias(self, previous_id: str | int | None = None, **expected: Any) -> Events:
        """Events of type `alias`, of that old id."""
        return self._of_type("alias", expected, previous_id=previous_id)

    def merge(self, user_id: str | int | None = None, **expected: Any) -> Events:
        """Events of type `merge`, of that user."""
        return self._of_type("merge", expected, user_id=user_id)

    def by_user(self, user_id: str | int) -> Events:
        """Events with that user id."""
        return self._select(expectation({"user_id": user_id}))

    def _of_type(self, event_type: str, expected: dict[str, Any], **given: Any) -> Events:
        told = {name: value for name, value in given.items() if value is not None}
        return self._select(expectation({"type": event_type, **told, **expected}))

    def _select(self, expected: Mapping[str, Any]) -> Events:
        found = [event for event in self._read() if not differences(expected, event)]
        return Events(lambda: found, in_words(expected), self, self._plans_in)

    # What is asserted of them.

    def one(self, **expected: Any) -> RecordedEvent:
        """The one event that has all that is expected, and `type` if that is given.

        Raises:
            AssertionError: There is none; the text shows the nearest, and where it differs. Or
                there are several.
        """
        __tracebackhide__ = True
        wanted = expectation(expected)
        events = self.all
        found = [event for event in events if not differences(wanted, event)]
        if len(found) == 1:
            return found[0]
        words = in_words(wanted)
        if found:
            raise AssertionError(
                f"{len(found)} events match, not one: {words}{listed(map(str, found))}"
            )
        near = closest(wanted, events)
        if near is None:
            told = repr(self) if self._wanted else "no event was recorded"
            raise AssertionError(f"no {words}: {told}{self._refusals()}")
        event, differs = near
        others = [str(other) for other in events if other is not event]
        raise AssertionError(
            f"no {words}. The nearest of {len(events)}:\n  {event}"
            + listed(f"  {difference}" for difference in differs)
            + (f"\nThe others:{listed(others)}" if others else "")
            + self._refusals()
        )

    def would_leave(self) -> Self:
        """Assert that a handler would send each of them, as logging is set up at the call.

        That is for tests that set logging up as production does: without any RudderHandler there
        is nothing to judge by.

        Returns:
            The same events.

        Raises:
            AssertionError: Something would keep one from leaving; the text says what.
        """
        __tracebackhide__ = True
        events = self.all
        stopped = [
            f"{describe(event)}, at {event.place}: {event.stopped_by}"
            for event in events
            if event.stopped_by
        ]
        if stopped:
            raise AssertionError(
                f"{len(stopped)} of {len(events)} events would not leave:{listed(stopped)}"
            )
        return self

    def _refusals(self) -> str:
        """List refusals at the call, which may explain a failure."""
        return self._among._refusals() if self._among is not None else ""  # noqa: SLF001

    def conforms_to(self, plan: str | os.PathLike[str] | Mapping[str, Any]) -> Self:
        """Assert that each event is as a tracking plan has it. Needs the extra `plan`.

        Args:
            plan: The path of a JSON file, or what is in it. With the fixture, a path may be
                relative to the test's own file.

        Returns:
            The same events.

        Raises:
            AssertionError: One is not; the text names the path that breaks the plan.
            ConfigError: It is no tracking plan.
            ImportError: The extra is missing.
        """
        from ..checks.plan import TrackingPlan  # noqa: PLC0415 - only where it is used

        __tracebackhide__ = True
        if isinstance(plan, Mapping):
            name, loaded = "the tracking plan", TrackingPlan(dict(plan))
        else:
            name = os.fspath(plan)
            beside = os.path.join(self._plans_in, name)  # noqa: PTH118 - os.PathLike, any
            loaded = TrackingPlan.load(beside if os.path.exists(beside) else name)  # noqa: PTH110
        events = self.all
        verdicts = [(event, loaded.verdict(event)) for event in events]
        broken = [f"{event}: {verdict}" for event, verdict in verdicts if verdict]
        if broken:
            verb = "does not conform" if len(broken) == 1 else "do not conform"
            raise AssertionError(
                f"{len(broken)} of {len(events)} events {verb} to {name}:{listed(broken)}"
            )
        return self

    def has_no_pii(self, allow: Collection[str] = ()) -> Self:
        """Assert that no event has personal data, as far as that has a form of its own.

        That is: e-mail addresses, numbers of payment cards, IBANs, phone numbers in international
        form, JWTs, private keys and IP addresses.

        Args:
            allow: What is expected: kinds (`email`, `card`, `iban`, `phone`, `jwt`, `private_key`,
                `ip`), or paths like `context.ip` or `properties.users[].email`.

        Returns:
            The same events.

        Raises:
            AssertionError: One has; the text names the path and the kind, and no value.
        """
        from ..checks.personal_data import is_allowed, marks  # noqa: PLC0415 - as above

        __tracebackhide__ = True
        events = self.all
        found = [
            f"{event['type']}, at {event.place}: {mark}"
            for event in events
            for mark in marks(event)
            if not is_allowed(mark, allow)
        ]
        if found:
            raise AssertionError(f"{len(found)} places have personal data:{listed(found)}")
        return self


class CapturedEvents(Events):
    """All events that are captured, as they come.

    .. versionadded:: 0.1.0
    """

    def __init__(
        self,
        plans_in: str | os.PathLike[str] = "",
        on_clear: Callable[[Sequence[RecordedEvent]], object] | None = None,
    ) -> None:
        self._recorder = recorder = Recorder()
        self._on_clear = on_clear
        super().__init__(lambda: recorder.events, plans_in=plans_in)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Record in the block. `capture_events` and the fixture do."""
        start(self._recorder)
        try:
            yield
        finally:
            stop(self._recorder)

    @property
    def refused(self) -> list[Refusal]:
        """Events that were not accepted at the call, and were not expected to be so."""
        return list(self._recorder.refusals)

    def clear(self) -> None:
        """Forget the events so far. Refused ones are still told at the end."""
        if self._on_clear is not None:
            self._on_clear(self.all)
        self._recorder.clear()

    def wait_for(self, count: int, timeout: float = 10.0) -> list[RecordedEvent]:
        """Wait until there are at least so many, from whatever threads, and return all.

        Raises:
            TimeoutError: They did not come in `timeout` seconds.
        """
        __tracebackhide__ = True
        with self._recorder.changed:
            if not wait_until(lambda: len(self) >= count, self._recorder.changed, timeout):
                raise TimeoutError(f"waited {timeout:g} s for {count} events: {self!r}")
            return self.all

    def expect_invalid(self, match: str | None = None) -> _ExpectInvalid:
        """Expect that the block's events are refused at the call: one at least.

        Calls of the package raise what is wrong; here that ends the block, and goes no further.

        Args:
            match: What each reason has to contain, as a regular expression.

        Raises:
            AssertionError: None was refused, or for another reason.
        """
        return _ExpectInvalid(self._recorder.refusals, match)

    def _refusals(self) -> str:
        refused = self.refused
        return f"\nRefused at the call:{listed(map(str, refused))}" if refused else ""

    def complaint(self) -> str | None:
        """Text of the error that `check` raises; None: all is well."""
        refused = [refusal for refusal in self.refused if not refusal.raised]
        if refused:
            were = "event was" if len(refused) == 1 else "events were"
            return (
                f"{len(refused)} {were} refused at the call, and would be lost:"
                f"{listed(map(str, refused))}\n"
                "If that is meant, put the call into a block `with events.expect_invalid():`."
            )
        for handler in self._recorder.handlers:
            stats = handler.stats()
            if not stats.balanced:
                return f"the ledger of {handler!r} does not balance: {stats}"
        return None

    def check(self) -> None:
        """Assert that no event was refused at the call, but those that were expected to be.

        What a call of the package raised is told already: it does not count.
        And that each handler's ledger balances.

        Raises:
            AssertionError: One was; the text has all reasons. Or a ledger does not balance.
        """
        __tracebackhide__ = True
        complaint = self.complaint()
        if complaint:
            raise AssertionError(complaint)


class _ExpectInvalid:
    """A class, as `_Capturing` is: contextlib's frames can't be hidden in a failure."""

    def __init__(self, refusals: list[Refusal], match: str | None) -> None:
        self._refusals = refusals
        self._match = match
        self._before = 0

    def __enter__(self) -> None:
        self._before = len(self._refusals)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        __tracebackhide__ = True
        expected = self._refusals[self._before :]
        if error is not None and not (isinstance(error, InvalidEventError) and expected):
            return False  # no event's
        del self._refusals[self._before :]
        if not expected:
            raise AssertionError("no event was refused, and one was expected to be")
        match = self._match
        others = [str(one) for one in expected if match and not re.search(match, one.reason)]
        if others:
            raise AssertionError(f"refused, but not for {match!r}:{listed(others)}")
        return True


class _Capturing(contextlib.ContextDecorator):
    def __enter__(self) -> CapturedEvents:
        self._events = CapturedEvents()
        self._recording = self._events.recording()
        self._recording.__enter__()
        return self._events

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        self._recording.__exit__(kind, error, trace)
        if error is None:
            self._events.check()


def capture_events() -> _Capturing:
    """Record what would be sent, and send nothing.

    Levels, `propagate`, `disabled`, `logging.disable` and a `dictConfig` in the block hide no event
    (see `RecordedEvent.stopped_by`), and no handler has to be configured. Filters and `before_send`
    apply: what they drop is not recorded. What a warehouse would silently drop or rename is told
    as `WarehouseWarning`, once for each event name.

    Raises:
        AssertionError: At the end: an event was refused at the call, and that was not expected.

    .. versionadded:: 0.1.0
    """
    return _Capturing()
