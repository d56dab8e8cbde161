"""What is measured: how often, and with how many events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .clients import OURS

__all__ = [
    "IMPORTS",
    "PUBLISHING",
    "REQUESTS",
    "SHAPES",
    "Task",
    "full",
    "in_turn",
    "limited",
    "quick",
]

_OTHERS = ("rudder", "segment", "posthog")

IMPORTS = "import"
"""The measure that needs no client: processes that import and end."""
PUBLISHING = "publish"
"""Likewise, of processes that send tasks of Celery's."""
SHAPES = "shapes"
"""The measure that has clients of its own: they take turns in one process."""
REQUESTS = "requests"
"""The measure of apps with our middlewares and without, which take turns in one process."""


@dataclass(frozen=True)
class Task:
    """One client, one measure, several rounds."""

    name: str
    """Tasks of one name are compared with each other."""
    client: str
    measure: str
    rounds: int
    arguments: dict[str, Any] = field(default_factory=dict)
    latency: float = 0.0
    """Of the server, in seconds."""
    properties: int | None = None
    """Each event's; None: those of an ordinary one."""


def in_turn(tasks: Sequence[Task]) -> Iterator[tuple[int, Task]]:
    """All tasks' first rounds, then all their second ones, and so on."""
    for number in range(max((task.rounds for task in tasks), default=0)):
        for task in tasks:
            if number < task.rounds:
                yield number, task


def _calls(rounds: int, rounds_of_others: int, **arguments: Any) -> Iterator[Task]:
    for client in ("queuehandler", *OURS):
        yield Task("call", client, "call", rounds, arguments)
    for client in _OTHERS:
        yield Task("call", client, "call", rounds_of_others, arguments)


def _deliveries(
    milliseconds: int, events: dict[str, int], rounds: dict[str, int]
) -> Iterator[Task]:
    for client, count in events.items():
        yield Task(
            f"delivery-{milliseconds}",
            client,
            "delivery",
            rounds[client],
            {"events": count},
            latency=milliseconds / 1000,
        )


def _memory(rounds: int, events: int) -> Iterator[Task]:
    for client in ("queuehandler", "logging", "spool", *_OTHERS):
        yield Task("memory", client, "memory", rounds, {"events": events})


def _shapes(rounds: int, cycles: int, turns: int, paced: int) -> Task:
    # Blocks so short that few of them meet with what else the machine does.
    loop = {"cycles": cycles, "turns": turns, "calls": 50}
    return Task(SHAPES, "", SHAPES, rounds, {"loop": loop, "paced": {"turns": paced, "rate": 10.0}})


def _growth(rounds: int, calls: int, backlogs: Sequence[int]) -> Iterator[Task]:
    for count in (1, 4, 16):
        arguments = {"count": count, "calls": calls, "chunks": 3}
        for client in ("logging", "queuehandler"):
            yield Task(f"threads-{count}", client, "threads", rounds, arguments)
    for count in (5, 50, 500):
        arguments = {"cycles": 3, "chunks": 5, "calls": 100}
        yield Task(f"properties-{count}", "logging", "call", rounds, arguments, properties=count)
    for size in backlogs:
        arguments = {"size": size, "chunks": 20, "calls": 250}
        some = 1 if size > 500_000 else rounds
        yield Task(f"backlog-{size}", "logging", "backlog", some, arguments)


def full() -> list[Task]:
    """All of it, in less than ten minutes."""
    everybody = (*OURS, "floor", *_OTHERS)
    many = dict.fromkeys(everybody, 40_000)
    # Those who send one batch of a hundred a round trip do so at a constant rate, which fewer
    # events show as well. The official SDK sends them all: it is what others are compared with.
    with_waits = {**many, "segment": 4_000, "posthog": 4_000}
    return [
        _shapes(3, cycles=2, turns=40, paced=40),
        Task(REQUESTS, "", REQUESTS, 3, {"turns": 40, "calls": 100}),
        *_calls(12, 3, cycles=6, chunks=5, calls=400),
        *_deliveries(0, many, {**dict.fromkeys(everybody, 4), "segment": 2, "posthog": 2}),
        *_deliveries(
            50,
            with_waits,
            {**dict.fromkeys(everybody, 1), **dict.fromkeys(OURS, 4), "rudder": 2},
        ),
        *_deliveries(200, with_waits, {**dict.fromkeys(everybody, 1), **dict.fromkeys(OURS, 3)}),
        *_memory(2, 50_000),
        Task(IMPORTS, "", IMPORTS, 5, {"times": 5}),
        Task(PUBLISHING, "", PUBLISHING, 3, {"turns": 40, "calls": 20}),
        *_growth(3, 24_000, (1_000, 10_000, 100_000, 1_000_000)),
    ]


def quick() -> list[Task]:
    """An impression, in less than a minute."""
    everybody = (*OURS, "floor", *_OTHERS)
    once = dict.fromkeys(everybody, 1)
    few = {**dict.fromkeys((*OURS, "floor"), 40_000), **dict.fromkeys(_OTHERS, 1_000)}
    return [
        _shapes(1, cycles=1, turns=20, paced=6),
        Task(REQUESTS, "", REQUESTS, 1, {"turns": 20, "calls": 50}),
        *_calls(1, 1, cycles=3, chunks=5, calls=200),
        *_deliveries(0, dict.fromkeys(everybody, 10_000), once),
        *_deliveries(50, few, once),
        *_deliveries(200, few, once),
        *_memory(1, 10_000),
        Task(IMPORTS, "", IMPORTS, 1, {"times": 3}),
        Task(PUBLISHING, "", PUBLISHING, 1, {"turns": 12, "calls": 20}),
        *_growth(1, 9_600, (1_000, 10_000, 100_000)),
    ]


def limited(tasks: Sequence[Task], words: Sequence[str], rounds: int | None) -> list[Task]:
    """Those whose name begins with one of the words, if there are any, with so many rounds."""
    return [
        replace(task, rounds=min(task.rounds, rounds or task.rounds))
        for task in tasks
        if not words or task.name.startswith(tuple(words))
    ]
