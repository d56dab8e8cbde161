"""Types of the events of a whole pytest session, compared with each other and with a file.

The plugin makes one for a run, when it sees the first event. Under pytest-xdist each worker has
one, and the controller one more, which gets what the workers have seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from ..checks.drift import Drift, Types
from ..checks.plan import TrackingPlan
from ..checks.types_file import NAME, Change, TypesFile
from ..exceptions import ConfigError
from .matching import listed
from .recorder import RecordedEvent

__all__ = ["KEY", "UPDATE", "SessionTypes", "of_session"]

UPDATE = "--rudder-types-update"
KEY = "rudder_types"
"""Of what a worker of pytest-xdist has seen, in its output."""

_LEVELS = ("warn", "error", "off")
_MOST_SHOWN = 20
_IF_MEANT = (
    "\nIf a new type is meant, have the column changed in the warehouse, and run "
    f"pytest {UPDATE}; see rudder-logging guide types."
)


def of_session(config: pytest.Config) -> SessionTypes:
    """The one of a run of pytest.

    Raises:
        ConfigError: The file, the plan or an option is not as it should be.
    """
    found: SessionTypes | None = config.pluginmanager.get_plugin(KEY)
    if found is None:
        found = SessionTypes(config)
        config.pluginmanager.register(found, KEY)
    return found


class SessionTypes:
    """Types that a run of pytest has seen, and the report of them. It is a plugin itself.

    Args:
        config: The run's.

    Raises:
        ConfigError: As from `of_session`.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._level = config.getini("rudder_types") or "warn"
        if self._level not in _LEVELS:
            raise ConfigError(f"rudder_types must be one of {', '.join(_LEVELS)}")
        self._file = TypesFile(config.rootpath / NAME)
        self._updates = bool(config.getoption(UPDATE))
        plan = str(config.getini("rudder_types_plan"))
        self._types = Types(
            TrackingPlan.load(config.rootpath / plan) if plan else None, self._file.known
        )
        self._found: dict[tuple[str, str, frozenset[str]], Drift] = {}
        self._changes: list[Change] = []

    def look_at(self, events: Iterable[Mapping[str, Any]], test: str) -> list[Drift]:
        """Compare a test's events, in their order, with those before.

        Args:
            events: They know the lines that logged them, or not.
            test: The test's id; parameters in it are left out, since they may be values.
        """
        if self._level == "off":
            return []
        found = []
        test = test.partition("[")[0]
        name = test.rpartition("::")[2]
        for event in events:
            # The app's line may be the same for both.
            place = f"{event.place} in {name}" if isinstance(event, RecordedEvent) else test
            found += self._types.look_at(event, place)
        for drift in found:
            self._found.setdefault(drift.kind, drift)
        return found

    def merge(self, seen: Iterable[Iterable[Any]]) -> None:
        """Take in what a worker has seen."""
        for drift in self._types.merge(seen):
            self._found.setdefault(drift.kind, drift)

    def complaint(self, drifts: Sequence[Drift]) -> str | None:
        """Text of the failure for a test that has these; None: none of them fails it."""
        told = [_told(drift) for drift in drifts if self._fails(drift)]
        if not told:
            return None
        by_file = any(drift.first.place.startswith(NAME) for drift in drifts)
        return f"types of events drift:{listed(dict.fromkeys(told))}" + (
            _IF_MEANT if by_file else ""
        )

    def _fails(self, drift: Drift) -> bool:
        """Tell if a drift fails its test: against a file or a plan always, else as one asks."""
        is_wanted = drift.is_known or self._level == "error"
        return is_wanted and not (drift.is_planned or self._updates)

    # As a plugin.

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Give a worker's types to the controller; write the file; fail for what no test did."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            output[KEY] = [[*one[:-1], list(one.planned)] for one in self._types.seen()]
            return
        self._changes = self._file.changes(self._types.seen())
        if self._updates:
            self._file.write(self._types.seen())
        elif session.exitstatus == pytest.ExitCode.OK and any(
            map(self._fails, self._found.values())
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED  # two workers had one type each

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell what drifts, and what the file lacks or has become."""
        lines = list(self._report())
        if lines:
            terminalreporter.section("types of RudderStack events")
            for line in lines:
                terminalreporter.line(line)

    def _report(self) -> Iterator[str]:
        drifts = [drift for drift in self._found.values() if not (self._updates and drift.is_known)]
        yield from map(_told, drifts[:_MOST_SHOWN])
        if len(drifts) > _MOST_SHOWN:
            yield f"... and {len(drifts) - _MOST_SHOWN} more that drift"
        if words := self._types.full():
            yield words
        new = sum(not change.before for change in self._changes)
        if self._updates:
            yield from self._updated(new)
        elif self._file.exists and new:
            columns = "1 column is" if new == 1 else f"{new} columns are"
            yield f"{columns} not in {NAME}; pytest {UPDATE} adds what is new"

    def _updated(self, new: int) -> Iterator[str]:
        changed = [change for change in self._changes if change.before]
        columns = "1 new column" if new == 1 else f"{new} new columns"
        yield f"{NAME}: {columns}, {len(changed)} with another type"
        yield from map(str, changed)
        if changed:
            yield "a column that a warehouse has made keeps its type: change it there, too"


def _told(drift: Drift) -> str:
    return f"{drift.later.place}: {drift}"
