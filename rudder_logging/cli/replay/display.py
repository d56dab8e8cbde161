"""Progress of a replay for the person who watches: a bar on a terminal, problems line by line."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ...common.printable import printable
from ..common import tell

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Display"]

_LINES_OF_PROBLEMS = 20


class Display:
    """A bar on stderr, if that is a terminal, and lines beside it.

    Args:
        total: Bytes to be read; None: nobody knows.
    """

    def __init__(self, total: int | None) -> None:
        self._problems = self._remarks = 0
        self._events = 0
        self._waits = False
        self._bar: Progress | None = None
        if sys.stderr is not None and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[events]:,} events, {task.fields[rate]:,.0f}/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task("", total=total, events=0, rate=0.0)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.stop()
        more = self._problems - _LINES_OF_PROBLEMS
        if more > 0:
            tell(f"... and {more:,} more of that kind; --rejects FILE keeps them all")
        more = self._remarks - _LINES_OF_PROBLEMS
        if more > 0:
            tell(f"... and {more:,} more types that drift; doctor --messages FILE lists all")

    def advance(self, name: str, size: int, events: int) -> None:
        """Move the bar on by bytes and events that were settled."""
        self._waits = False
        self._events += events
        if self._bar is not None:
            elapsed = self._bar.tasks[self._task].elapsed or 0.0
            rate = self._events / elapsed if elapsed else 0.0
            self._bar.update(
                self._task,
                description=escape(printable(os.path.basename(name))),  # noqa: PTH119
                advance=size,
                events=self._events,
                rate=rate,
            )

    def problem(self, line: str) -> None:
        """Show one event that does not arrive. Of many, only the first are shown."""
        self._problems += 1
        if self._problems <= _LINES_OF_PROBLEMS:
            self.tell(line)

    def remark(self, line: str) -> None:
        """Show something about an event that would arrive. Of many, only the first are shown."""
        self._remarks += 1
        if self._remarks <= _LINES_OF_PROBLEMS:
            self.tell(line)

    def waiting(self, fault: str) -> None:
        """Say that the data plane does not answer well: once, until it does."""
        if not self._waits:
            self._waits = True
            self.tell(f"waiting for the data plane: {fault}")

    def tell(self, line: str) -> None:
        """Print one line, above the bar if there is one."""
        if self._bar is None:
            tell(line)
        else:
            self._bar.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
