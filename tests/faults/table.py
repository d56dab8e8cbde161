"""The scenarios, and what is expected of each; and the table that they make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from . import apps, durable, exits, forks, greenlets, overload, servers, web, workers
from .account import Account
from .stage import Stage

__all__ = ["SCENARIOS", "Scenario", "markdown", "row", "rows"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Something that happens to an app, and what then becomes of its events."""

    name: str
    run: Callable[[Stage], None]
    accepted: int
    """How many events are logged; their numbers are those from 0."""
    dropped: Mapping[str, Collection[int]] = field(default_factory=dict)
    """Which of them are not delivered, by reason."""
    duplicates: range = range(1)
    """How many deliveries there may be beyond the first of each."""
    durable: bool = False
    """Whether the queue is on the disk."""
    needs: str = ""
    """A module that not every system has."""

    @property
    def expected(self) -> Account:
        """The account, but for duplicates."""
        accepted = frozenset(range(self.accepted))
        dropped = {reason: frozenset(numbers) for reason, numbers in self.dropped.items()}
        return Account(accepted, accepted.difference(*dropped.values()), dropped=dropped)

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


SCENARIOS = (
    # Ends of a script.
    Scenario(name="A script just ends, without a flush", run=exits.script_ends, accepted=500),
    Scenario(
        name="A script ends that used the official calls", run=exits.official_calls, accepted=100
    ),
    Scenario(name="A script ends by `sys.exit`", run=exits.sys_exit, accepted=500),
    Scenario(name="A script ends by an exception", run=exits.unhandled_exception, accepted=500),
    Scenario(name="A script's main thread ends first", run=exits.other_thread, accepted=500),
    Scenario(
        name="A script ends with a daemon thread at work", run=exits.daemon_thread, accepted=500
    ),
    Scenario(
        name="A script ends by `flush()` and `os._exit`", run=exits.flush_then_os_exit, accepted=500
    ),
    Scenario(
        name="A script logs after `logging.shutdown()`", run=exits.logging_shutdown, accepted=500
    ),
    Scenario(
        name="A script forgets its handler, unclosed", run=exits.forgotten_handler, accepted=500
    ),
    Scenario(name="Ctrl-C", run=exits.interrupt, accepted=500),
    Scenario(
        name="SIGTERM, with a handler that logs and exits",
        run=exits.terminate_and_exit,
        accepted=500,
    ),
    Scenario(
        name="SIGTERM, with a handler that sets a flag", run=exits.terminate_by_flag, accepted=500
    ),
    Scenario(
        name="Hooks of `atexit` log, before and after ours", run=exits.exit_hooks, accepted=30
    ),
    Scenario(
        name="A `__del__` logs when modules are already gone",
        run=exits.deleted_at_shutdown,
        accepted=11,
        dropped={"shutdown": {10}},
    ),
    # Ends without a server.
    Scenario(
        name="The server is down at the end, which waits for `shutdown_timeout`",
        run=exits.server_down,
        accepted=50,
        dropped={"shutdown": range(50)},
    ),
    Scenario(
        name="The server hangs at the end",
        run=exits.server_hangs,
        accepted=50,
        dropped={"shutdown": range(50)},
    ),
    Scenario(
        name="The server answers 503 at the end, for ever",
        run=exits.server_fails,
        accepted=50,
        dropped={"shutdown": range(50)},
    ),
    Scenario(
        name="The server is down, and a hook of `atexit` logs after ours",
        run=exits.exit_hook_without_server,
        accepted=11,
        dropped={"shutdown": range(11)},
    ),
    Scenario(
        name="The server is up again within `shutdown_timeout`",
        run=exits.server_returns,
        accepted=50,
    ),
    # Forks.
    Scenario(name="`os.fork` with a backlog; children log and exit", run=forks.fork, accepted=500),
    Scenario(
        name="`os.fork` while threads log and upload", run=forks.fork_in_a_burst, accepted=2_010
    ),
    *(
        Scenario(
            name=f"`{kind}`, start method {method}",
            run=partial(run, method=method),
            accepted=400,
        )
        for kind, run in (
            ("multiprocessing.Process", forks.multiprocessing),
            ("ProcessPoolExecutor", forks.executor),
        )
        for method in ("fork", "spawn", "forkserver")
    ),
    # Servers of apps, and their workers.
    *(
        Scenario(
            name=f"gunicorn `--preload`, {worker} workers, SIGTERM",
            needs="gunicorn",
            run=partial(web.gunicorn, worker=worker),
            accepted=50,
        )
        for worker in ("sync", "gthread", "gevent")
    ),
    Scenario(
        name="gunicorn without `--preload`, SIGTERM",
        needs="gunicorn",
        run=partial(web.gunicorn, preload=False),
        accepted=50,
    ),
    Scenario(
        name="uWSGI, graceful stop",
        needs="pyuwsgi",
        run=partial(web.uwsgi, options=["--enable-threads"]),
        accepted=50,
    ),
    Scenario(
        name="uWSGI `--lazy-apps`",
        needs="pyuwsgi",
        run=partial(web.uwsgi, options=["--enable-threads", "--lazy-apps"]),
        accepted=50,
    ),
    Scenario(name="uWSGI without threads", needs="pyuwsgi", run=web.uwsgi, accepted=50),
    Scenario(name="gevent, patched first", run=greenlets.patched_first, accepted=500),
    Scenario(
        name="gevent, patched before the handler is made",
        run=greenlets.patched_after_import,
        accepted=500,
    ),
    Scenario(name="Celery, SIGTERM", run=workers.celery, accepted=10),
    Scenario(
        name="Celery `--max-tasks-per-child=2`",
        run=partial(workers.celery, options=["--max-tasks-per-child=2"]),
        accepted=10,
    ),
    Scenario(
        name="Celery `-P gevent`",
        run=partial(workers.celery, options=["-P", "gevent"]),
        accepted=10,
    ),
    # Servers of events that are not well.
    Scenario(
        name="The server refuses 7 of 100 events (413)",
        run=servers.too_large_events,
        accepted=100,
        dropped={"refused": servers.BAD},
    ),
    Scenario(
        name="The server's database can't take 2 of 20 events (500)",
        run=servers.poison,
        accepted=20,
        dropped={"refused": servers.POISON},
    ),
    Scenario(
        name="The server takes less at once (413)", run=servers.too_large_together, accepted=300
    ),
    Scenario(
        name="The server limits the rate (429, Retry-After)", run=servers.rate_limit, accepted=300
    ),
    *(
        Scenario(
            name=f"The server answers {status} for a while",
            run=partial(servers.fails_for_a_while, status=status),
            accepted=300,
        )
        for status in (500, 503)
    ),
    Scenario(name="The server is away for a while", run=servers.outage, accepted=300),
    Scenario(
        name="The server does not answer one request",
        run=servers.answers_in_time_once_more,
        accepted=300,
    ),
    Scenario(
        name="The connection is cut before events are stored",
        run=partial(servers.cut, accepted=False),
        accepted=100,
    ),
    Scenario(
        name="The connection is cut after they are stored: same ids again",
        run=partial(servers.cut, accepted=True),
        accepted=100,
        duplicates=range(100, 101),
    ),
    Scenario(
        name="The server takes 200 ms to answer, in a burst", run=servers.slow, accepted=5_000
    ),
    Scenario(name="The source is disabled for a while", run=servers.disabled, accepted=100),
    Scenario(name="The write key is wrong for a while", run=servers.wrong_key, accepted=100),
    Scenario(name="TLS, a private authority", run=servers.private_authority, accepted=100),
    Scenario(name="TLS, an expired certificate, replaced", run=servers.expired, accepted=100),
    Scenario(name="TLS, another host's, replaced", run=servers.wrong_host, accepted=100),
    # Overload.
    Scenario(
        name="The queue is full, `drop_new`",
        run=partial(overload.full, overflow="drop_new", end=150),
        accepted=150,
        dropped={"queue_full": range(100, 150)},
    ),
    Scenario(
        name="The queue is full, `drop_old`",
        run=partial(overload.full, overflow="drop_old", end=150),
        accepted=150,
        dropped={"queue_full": range(1, 51)},
    ),
    Scenario(
        name="The queue is full, `block`, for longer than `block_timeout`",
        run=partial(overload.full, overflow="block", end=120),
        accepted=120,
        dropped={"queue_full": range(100, 120)},
    ),
    Scenario(
        name="The queue is full, `block`, until the server answers",
        run=overload.full_for_a_while,
        accepted=250,
    ),
    Scenario(
        name="100 times `max_queue_bytes` in an outage: memory stays bounded",
        run=overload.bounds_of_an_outage,
        accepted=2_000,
        dropped={"queue_full": range(20, 2_000)},
    ),
    # What apps do.
    Scenario(name="`dictConfig` again and again in flight", run=apps.dict_config, accepted=500),
    Scenario(name="`fileConfig` again and again in flight", run=apps.file_config, accepted=500),
    Scenario(name="Root at DEBUG, every line made an event", run=apps.root_at_debug, accepted=500),
    Scenario(name="asyncio, the server hangs once", run=apps.asyncio_app, accepted=500),
    Scenario(name="The listener's thread dies, twice", run=apps.dead_listener, accepted=40),
    # The durable queue.
    Scenario(
        name="Durable queue: `kill -9`, then a new process",
        run=durable.killed,
        accepted=500,
        durable=True,
    ),
    Scenario(
        name="Durable queue: `kill -9` between upload and answer",
        run=durable.killed_while_sending,
        accepted=500,
        duplicates=range(500, 501),
        durable=True,
    ),
    Scenario(
        name="Durable queue: the server is down at the end",
        run=durable.server_down,
        accepted=500,
        durable=True,
    ),
    Scenario(
        name="Durable queue: `kill -9` of a gunicorn worker",
        run=durable.gunicorn_worker_killed,
        needs="gunicorn",
        accepted=50,
        durable=True,
    ),
    Scenario(
        name="Durable queue: `kill -9` three times while uploads go on",
        run=durable.killed_amidst,
        accepted=3_000,
        duplicates=range(3 * 80),
        durable=True,
    ),
    Scenario(
        name="Durable queue: `kill -9` of parent and forked child",
        run=durable.worker_killed,
        accepted=30,
        durable=True,
    ),
    Scenario(name="Durable queue: a torn last line", run=durable.torn, accepted=10, durable=True),
    Scenario(
        name="Durable queue: its directory is removed",
        run=durable.removed,
        accepted=20,
        durable=True,
    ),
)


def row(name: str, account: Account, duplicates: str) -> tuple[str, ...]:
    """The cells of one line of the table."""
    dropped = ", ".join(f"{len(found):,} `{reason}`" for reason, found in account.dropped.items())
    counts = (f"{len(numbers):,}" for numbers in (account.accepted, account.delivered))
    return (name, *counts, duplicates, dropped or "0")


def rows(cells: Iterable[tuple[str, ...]]) -> str:
    """The table, in Markdown, with columns that stand one below the other."""
    lines = [("what happens", "accepted", "delivered", "duplicates", "dropped"), *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    is_number = (False, True, True, True, False)

    def line(cells: tuple[str, ...]) -> str:
        shown = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_number, strict=True)
        )
        return f"| {' | '.join(shown)} |"

    rule = "|".join(
        "-" * (width + 1) + (":" if right else "-")
        for width, right in zip(widths, is_number, strict=True)
    )
    return "\n".join([line(lines[0]), f"|{rule}|", *map(line, lines[1:])])


def markdown() -> str:
    """What is expected, as the README shows it."""
    return rows(row(one.name, one.expected, _shown(one.duplicates)) for one in SCENARIOS)


def _shown(numbers: range) -> str:
    return f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
