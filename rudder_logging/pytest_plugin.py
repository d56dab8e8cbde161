"""The pytest plugin: fixtures over `testing` and `dataplane`, and no upload to another host.

It is installed a second time outside the package, as the module that the entry point names.
To import the package would cost each run 30 ms, and a coverage measurement its first lines.
For that it imports nothing of the package but where that is used.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from rudder_logging.checks.drift import Drift
    from rudder_logging.dataplane import LocalDataPlane
    from rudder_logging.testing import CapturedEvents
    from rudder_logging.testing.session_types import SessionTypes

__all__ = ["Network", "network", "rudder_data_plane", "rudder_events"]

_MARKERS = (
    "rudder_network: the test's events may leave for hosts that are not loopback",
    "rudder_unchecked: refused events, a ledger out of balance or drifting types do not fail it",
)


class Network:
    """Which events may leave, and what did not: see `sinks.guard`, which asks and tells."""

    _VARIABLE = "_RUDDER_LOGGING_KEEPS_EVENTS"

    def __init__(self) -> None:
        self._keeps_events: bool | None = None
        self._runs = 0  # a test may run pytest in its own process
        self._variable_before: str | None = None
        self._kept: deque[tuple[str, int]] = deque()  # senders' threads add to it

    @property
    def keeps_events(self) -> bool | None:
        """True if events stay; None: pytest does not run in this process."""
        return self._keeps_events

    @keeps_events.setter
    def keeps_events(self, keeps: bool) -> None:
        self._keeps_events = keeps
        self._tell_children("1" if keeps else None)

    def _tell_children(self, value: str | None) -> None:
        """Tell child processes that do not load the plugin: they inherit the environment."""
        if value is None:
            os.environ.pop(self._VARIABLE, None)
        else:
            os.environ[self._VARIABLE] = value

    def begin(self) -> None:
        """Keep events: a run of pytest begins."""
        if not self._runs:
            self._variable_before = os.environ.get(self._VARIABLE)
        self._runs += 1
        self.keeps_events = True

    def end(self) -> None:
        """End a run. Events in this process's queues stay, and the environment is as before."""
        self._runs -= 1
        if not self._runs:
            self._tell_children(self._variable_before)

    def keep(self, host: str, events: int) -> None:
        """Count events for a host that were dropped; 0: a durable queue keeps them."""
        self._kept.append((host, events))

    def warn(self) -> None:
        """Tell of what was kept back since the last time."""
        kept: Counter[str] = Counter()
        while self._kept:
            host, events = self._kept.popleft()
            kept[host] += events
        if kept:
            from rudder_logging import KeptBackWarning  # noqa: PLC0415

            what = ", ".join(
                (f"{events} event{'s' * (events != 1)} from " if events else "a queue from ") + host
                for host, events in sorted(kept.items())
            )
            warnings.warn(
                f"rudder_logging kept {what}, which is not loopback. Look at events with the "
                "fixture rudder_events, or mark the test with rudder_network",
                KeptBackWarning,
                stacklevel=1,
            )


_NAMES = ("_rudder_logging_pytest", "rudder_logging.pytest_plugin")


def _shared_network() -> Network:
    """One for both names, in case both are loaded."""
    for name in _NAMES:
        found = getattr(sys.modules.get(name), "network", None)
        if found is not None:
            return cast("Network", found)
    return Network()


network = _shared_network()


_UPDATE = "--rudder-types-update"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of types that drift: see the guide `types`."""
    group = parser.getgroup("rudder_logging", "RudderStack events")
    text = "write the types of events' columns into rudder-types.json"
    try:
        group.addoption(_UPDATE, action="store_true", help=text)
    except ValueError:  # the plugin is loaded by both its names
        return
    text = "what comes of types that drift within a run: warn, error, or off"
    parser.addini("rudder_types", text, default="warn")
    text = "tracking plan whose types come first, beside the configuration file"
    parser.addini("rudder_types_plan", text, default="")


def pytest_configure(config: pytest.Config) -> None:
    """Keep events from now on; make the markers known."""
    network.begin()
    if "rudder_logging.handler.handler" in sys.modules:
        from rudder_logging.testing.watch import guard_all  # noqa: PLC0415

        guard_all()
    for line in _MARKERS:
        config.addinivalue_line("markers", line)
    if config.getoption(_UPDATE):
        _types(config)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)  # which the oldest pytest still alive takes
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Let a test that is marked reach other hosts, its fixtures included.

    What unmarked tests left in memory is not its own, and stays. Marked tests that follow one
    another may share a handler: what the first has logged leaves, if only in the next.
    """
    if _is_marked(item) and network.keeps_events:
        _settle()  # what was logged outside of tests; for the rest, see the teardown before it
        network.keeps_events = False
    yield
    network.keeps_events = not (_is_marked(item) and _is_marked(nextitem))


def _settle(*, for_good: bool = False) -> None:
    """Have kept back what waits for other hosts, if there can be any."""
    if "rudder_logging.handler.handler" in sys.modules:
        from rudder_logging.testing.watch import settle  # noqa: PLC0415

        settle(for_good=for_good)


def _is_marked(item: pytest.Item | None) -> bool:
    return item is not None and item.get_closest_marker("rudder_network") is not None


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """Tell in the test's own warnings what did not leave."""
    if _is_marked(nextitem) and network.keeps_events:
        _settle()  # in the warnings of the test that is marked, it would be another's
    network.warn()


def pytest_sessionfinish() -> None:
    """Settle what is for other hosts: the end of the process would wait for it."""
    network.keeps_events = True  # if the session was stopped between tests that are marked
    _settle(for_good=True)
    try:
        network.warn()
    except UserWarning as warning:  # made an error, which would be pytest's own here
        sys.stderr.write(f"{warning}\n")


def pytest_unconfigure() -> None:
    """Leave the environment as it was."""
    network.end()


@pytest.fixture
def rudder_events(request: pytest.FixtureRequest) -> Iterator[CapturedEvents]:
    """The RudderStack events of the test, as they would be sent; nothing is sent.

    The test fails if a log call's event was refused, unless `expect_invalid` was there for it, or
    the test is marked with `rudder_unchecked`. See `rudder_logging.testing`.
    """
    from rudder_logging.testing import CapturedEvents  # noqa: PLC0415

    drifts = _Drifts(request)
    events = CapturedEvents(plans_in=request.path.parent, on_clear=drifts.look_at)
    with events.recording():
        yield events
    drifts.look_at(events)
    complaint = events.complaint()
    if complaint and not _is_unchecked(request):
        pytest.fail(complaint, pytrace=False)
    drifts.check()


class _Drifts:
    """Types of a test's events that drift; of none, if the test is unchecked."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._types: SessionTypes | None = None
        if not _is_unchecked(request):
            try:
                self._types = _types(request.config)
            except pytest.UsageError as error:
                pytest.fail(str(error), pytrace=False)
        self._test = request.node.nodeid
        self._found: list[Drift] = []

    def look_at(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Compare events with those before."""
        if self._types is not None:
            self._found += self._types.look_at(events, self._test)

    def check(self) -> None:
        """Fail for those that are to fail the test."""
        complaint = self._types.complaint(self._found) if self._types is not None else None
        if complaint:
            pytest.fail(complaint, pytrace=False)


def _types(config: pytest.Config) -> SessionTypes:
    """The types of the session."""
    from rudder_logging import ConfigError  # noqa: PLC0415
    from rudder_logging.testing.session_types import of_session  # noqa: PLC0415

    try:
        return of_session(config)
    except (ConfigError, ImportError) as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take in what a worker of pytest-xdist has seen."""
    seen = getattr(node, "workeroutput", {}).pop("rudder_types", None)
    if seen:
        _types(node.config).merge(seen)


@pytest.fixture(scope="session")
def _rudder_data_plane() -> Iterator[LocalDataPlane]:
    try:
        from rudder_logging.dataplane import LocalDataPlane  # noqa: PLC0415
    except ImportError as error:
        pytest.fail(str(error), pytrace=False)
    with LocalDataPlane(write_key="test-write-key") as plane:
        yield plane


@pytest.fixture
def rudder_data_plane(
    _rudder_data_plane: LocalDataPlane, request: pytest.FixtureRequest
) -> Iterator[LocalDataPlane]:
    """A local data plane that has received nothing yet, and is well. Needs the extra `dataplane`.

    It answers as the newest server does, unless a test asks for an older `dialect`: by
    `@pytest.mark.parametrize("rudder_data_plane", ["1.45"], indirect=True)`, or by setting it.

    Handlers reach it by its `url` and `write_key`. At the end it is well again, and gets what they
    still have for it. Then the test fails if an event was refused, at the call or by the data
    plane, or is not accounted for, unless it is marked with `rudder_unchecked`.
    """
    from rudder_logging.dataplane.dialects import NEWEST  # noqa: PLC0415
    from rudder_logging.testing.watch import Watch, told  # noqa: PLC0415

    _rudder_data_plane.clear()
    _rudder_data_plane.dialect = getattr(request, "param", NEWEST)
    if _is_unchecked(request):
        yield _rudder_data_plane
        return
    watch = Watch()
    drifts = _Drifts(request)
    watch.start()
    try:
        yield _rudder_data_plane
    finally:
        watch.stop()
    faults = watch.faults(_rudder_data_plane)
    drifts.look_at(_rudder_data_plane.events)
    if faults:
        pytest.fail(told(faults), pytrace=False)
    drifts.check()


def _is_unchecked(request: pytest.FixtureRequest) -> bool:
    return request.node.get_closest_marker("rudder_unchecked") is not None
