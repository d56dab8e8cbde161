"""The scenarios, and what is expected of each; and the table that they make."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from . import durable, exits, forks, greenlets, web, workers
from .account import Account
from .stage import Stage

__all__ = ["SCENARIOS", "Scenario", "markdown"]


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
    queue: str = "memory://"

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
        with Stage(directory, self.queue) as stage:
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


_DURABLE = "file://{directory}/spool"


def _by(function: Callable[..., None], *arguments: str, **options: bool) -> Callable[[Stage], None]:
    return lambda stage: function(stage, *arguments, **options)


SCENARIOS = (
    Scenario(name="A script ends without a flush", run=exits.script_ends, accepted=500),
    Scenario(name="... that uses the official calls", run=exits.official_calls, accepted=100),
    Scenario(name="... by `sys.exit`", run=exits.sys_exit, accepted=500),
    Scenario(name="... by an exception", run=exits.unhandled_exception, accepted=500),
    Scenario(name="... while another thread goes on logging", run=exits.other_thread, accepted=500),
    Scenario(name="... while a daemon thread is at work", run=exits.daemon_thread, accepted=500),
    Scenario(name="... by `os._exit`, after a flush", run=exits.flush_then_os_exit, accepted=500),
    Scenario(name="... after `logging.shutdown`", run=exits.logging_shutdown, accepted=500),
    Scenario(name="... with its handler forgotten", run=exits.forgotten_handler, accepted=500),
    Scenario(name="SIGINT", run=exits.interrupt, accepted=500),
    Scenario(
        name="SIGTERM, its handler logs and exits", run=exits.terminate_and_exit, accepted=500
    ),
    Scenario(name="SIGTERM, its handler sets a flag", run=exits.terminate_by_flag, accepted=500),
    Scenario(name="Events logged by exit hooks", run=exits.exit_hooks, accepted=30),
    Scenario(
        name="An event logged by a `__del__` when modules are gone",
        run=exits.deleted_at_shutdown,
        accepted=11,
        dropped={"shutdown": {10}},
    ),
    Scenario(
        name="Events logged by exit hooks, the server down",
        run=exits.exit_hook_without_server,
        accepted=11,
        dropped={"shutdown": range(11)},
    ),
    *(
        Scenario(
            name=f"Exit within `shutdown_timeout`, the server {fault}",
            run=run,
            accepted=50,
            dropped={"shutdown": range(50)},
        )
        for fault, run in (
            ("down", exits.server_down),
            ("hanging", exits.server_hangs),
            ("failing", exits.server_fails),
        )
    ),
    Scenario(name="Exit, the server back in that time", run=exits.server_returns, accepted=50),
    Scenario(
        name="Exit, the server down, durable queue; then another process",
        run=durable.exit_without_server,
        accepted=50,
        queue=_DURABLE,
    ),
    Scenario(
        name="SIGKILL with a backlog, durable queue; then another process",
        run=durable.killed,
        accepted=510,
        queue=_DURABLE,
    ),
    Scenario(
        name="SIGKILL three times amidst deliveries, durable queue",
        run=durable.killed_amidst,
        accepted=3_000,
        duplicates=range(3 * 80),
        queue=_DURABLE,
    ),
    Scenario(
        name="SIGKILL of parent and forked child, durable queue",
        run=durable.worker_killed,
        accepted=30,
        queue=_DURABLE,
    ),
    Scenario(name="A torn last line in the spool", run=durable.torn, accepted=10, queue=_DURABLE),
    Scenario(
        name="The spool's directory removed", run=durable.removed, accepted=20, queue=_DURABLE
    ),
    Scenario(name="`os.fork` with a backlog", run=forks.fork, accepted=500),
    Scenario(name="`os.fork` amidst bursts", run=forks.fork_in_a_burst, accepted=2010),
    *(
        Scenario(name=f"{title}, {method}", run=_by(partial(kind, method)), accepted=400)
        for title, kind in (
            ("`multiprocessing`", forks.multiprocessing),
            ("`ProcessPoolExecutor`", forks.executor),
        )
        for method in ("fork", "spawn", "forkserver")
    ),
    *(
        Scenario(
            name=f"gunicorn `--preload`, {worker} workers",
            run=partial(web.gunicorn, worker),
            accepted=50,
        )
        for worker in ("sync", "gthread", "gevent")
    ),
    Scenario(
        name="gunicorn, sync workers", run=partial(web.gunicorn, "sync", preload=False), accepted=50
    ),
    Scenario(name="uWSGI without threads", run=web.uwsgi, accepted=50),
    Scenario(name="uWSGI with threads", run=_by(web.uwsgi, "--enable-threads"), accepted=50),
    Scenario(
        name="uWSGI, the app loaded by each worker",
        run=_by(web.uwsgi, "--enable-threads", "--lazy-apps"),
        accepted=50,
    ),
    Scenario(name="gevent, patched before the import", run=greenlets.patched_first, accepted=500),
    Scenario(
        name="gevent, patched after the import", run=greenlets.patched_after_import, accepted=500
    ),
    Scenario(name="Celery prefork", run=workers.celery, accepted=10),
    Scenario(
        name="Celery prefork, one task a child",
        run=_by(workers.celery, "--max-tasks-per-child=1"),
        accepted=10,
    ),
    Scenario(name="Celery threads", run=_by(workers.celery, "-P", "threads"), accepted=10),
    Scenario(name="Celery gevent", run=_by(workers.celery, "-P", "gevent"), accepted=10),
)


def row(name: str, account: Account, duplicates: str) -> str:
    """One line of the table."""
    dropped = ", ".join(f"{len(own)} `{reason}`" for reason, own in account.dropped.items())
    accepted, delivered = len(account.accepted), len(account.delivered)
    return f"| {name} | {accepted:,} | {delivered:,} | {duplicates} | {dropped or '0'} |"


def markdown(accounts: Mapping[str, Account] | None = None) -> str:
    """The table: of what was measured, or else of what is expected."""
    lines = [
        "| what happens | accepted | delivered | duplicates | dropped |",
        "|---|---|---|---|---|",
    ]
    for scenario in SCENARIOS:
        if accounts is None:
            most = max(scenario.duplicates)
            lines.append(row(scenario.name, scenario.expected, f"at most {most}" if most else "0"))
        elif scenario.name in accounts:
            account = accounts[scenario.name]
            lines.append(row(scenario.name, account, str(account.duplicates)))
    return "\n".join(lines)
