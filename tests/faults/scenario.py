"""One row of the fault matrix: something that happens, and what is expected of it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.engines import redis_program

from .account import Account
from .stage import Stage

__all__ = ["Scenario"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Something that happens to an app, and what then becomes of its events."""

    name: str
    run: Callable[[Stage], None]
    accepted: int
    """How many events are logged; their numbers are those from 0."""
    dropped: Mapping[str, Collection[int]] = field(default_factory=dict)
    """Which of them are not delivered, by reason."""
    vanished: Collection[int] = ()
    """Which of them are neither delivered nor counted: the process was ended at once."""
    duplicates: range = range(1)
    """How many deliveries there may be beyond the first of each."""
    durable: bool = False
    """Whether the queue is on the disk."""
    needs: str = ""
    """A module that not every system has; or `redis-server`."""
    needs_root: bool = False
    """Whether only root can have it happen."""

    @property
    def expected(self) -> Account:
        """The account, but for duplicates."""
        accepted = frozenset(range(self.accepted))
        dropped = {reason: frozenset(numbers) for reason, numbers in self.dropped.items()}
        delivered = accepted.difference(*dropped.values(), self.vanished)
        return Account(accepted, delivered, dropped=dropped)

    @property
    def obstacle(self) -> str | None:
        """What it needs and does not have here."""
        if self.needs == "redis-server":
            return self.needs if redis_program() is None else None
        if self.needs and importlib.util.find_spec(self.needs) is None:
            return self.needs
        return "root" if self.needs_root and os.geteuid() != 0 else None

    def play(self, directory: Path) -> Account:
        """Have it happen; return what became of the events.

        Raises:
            AssertionError: Something else than expected happened; it has the processes' output.
        """
        with Stage(directory, durable=self.durable) as stage:
            try:
                self.run(stage)
            except Exception as error:
                found = stage.account().differences(self.expected)
                raise AssertionError("\n".join([repr(error), *found, stage.output()])) from error
            account = stage.account()
            problems = account.differences(self.expected)
            if account.duplicates not in self.duplicates:
                problems.append(f"{account.duplicates} duplicates")
            if problems:
                raise AssertionError("\n".join([*problems, stage.output()]))
            return account
