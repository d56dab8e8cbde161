"""The scenarios, and what is expected of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from . import (
    apps,
    disks,
    durable,
    exits,
    forks,
    greenlets,
    overload,
    proxies,
    reentry,
    serverless,
    servers,
    tls,
    web,
    workers,
)
from .scenario import Scenario
from .stage import Stage

__all__ = ["SCENARIOS"]


def _durable(name: str, run: Callable[[Stage], None], accepted: int, **others: Any) -> Scenario:
    name = f"Durable queue: {name}"
    return Scenario(name=name, run=run, accepted=accepted, durable=True, **others)


_WRAPS, _CLOSES, _DRAINS = "`RudderMiddleware`", "`aclose()` in its lifespan", "`drain_on_sigterm`"

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
    Scenario(
        name="A script ends with handlers whose end fails",
        run=exits.neighbours_whose_end_fails,
        accepted=500,
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
        name="SIGTERM, which nobody handles", run=exits.terminate, accepted=21, vanished=range(21)
    ),
    *(
        Scenario(
            name=f"{what}, `drain_on_sigterm`",
            run=partial(exits.terminate, drain_on_sigterm=True, first=first),
            accepted=21,
        )
        for what, first in (
            ("SIGTERM, which nobody handles", ""),
            ("gevent, SIGTERM", exits.PATCH),
        )
    ),
    Scenario(
        name="SIGTERM amid a log call, `drain_on_sigterm`",
        run=exits.terminate_amid_call,
        accepted=21,
    ),
    Scenario(
        name="SIGTERM while a logger is made, `drain_on_sigterm`",
        run=exits.terminate_amid_logging,
        accepted=21,
    ),
    Scenario(
        name="SIGTERM to a forked child, `drain_on_sigterm`",
        run=exits.terminate_child,
        accepted=30,
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
    Scenario(
        name="A `__del__` logs when a daemon thread was ended amid its use of the queue",
        run=partial(exits.deleted_when_threads_are_gone, says=exits.LOST.format(1)),
        accepted=11,
        dropped={"shutdown": {10}},
    ),
    *(
        Scenario(
            name=f"A `MemoryHandler` is flushed at the end, made {when} its target",
            run=partial(exits.memory_handler, first=first),
            accepted=400,
        )
        for when, first in (("after", "handler"), ("before", "buffer"))
    ),
    # Ends without a server.
    Scenario(
        name="The server is down at the end, for twenty handlers: one line",
        run=exits.many_handlers,
        accepted=20,
        dropped={"shutdown": range(20)},
    ),
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
        name="A hook of `atexit` logs when `shutdown_timeout` is over",
        run=exits.exit_hook_when_time_is_over,
        accepted=13,
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
    Scenario(
        name="Four processes share a dead-letter file",
        run=forks.dead_letters,
        accepted=400,
        dropped={"refused": forks.BURIED},
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
    *(
        Scenario(
            name=f"{server}, SIGTERM, {how}" if how else f"{server}, SIGTERM",
            needs=needs,
            run=partial(
                web.asgi,
                server=server,
                wraps=how == _WRAPS,
                closes=how == _CLOSES,
                drains=how == _DRAINS,
            ),
            accepted=web.REQUESTS + processes,
            vanished=range(vanished),
        )
        for server, needs, processes, how, vanished in (
            ("uvicorn", "uvicorn", 1, "", 21),
            ("uvicorn", "uvicorn", 1, _WRAPS, 0),
            ("uvicorn", "uvicorn", 1, _CLOSES, 0),
            ("uvicorn", "uvicorn", 1, _DRAINS, 0),
            ("uvicorn `--workers 2`", "uvicorn", 2, "", 22),
            ("uvicorn `--workers 2`", "uvicorn", 2, _WRAPS, 0),
            ("uvicorn `--workers 2`", "uvicorn", 2, _CLOSES, 0),
            ("uvicorn `--workers 2`", "uvicorn", 2, _DRAINS, 0),
            ("uvicorn `--reload`", "uvicorn", 1, _WRAPS, 0),
            ("uvicorn `--reload`", "uvicorn", 1, _DRAINS, 0),
            ("gunicorn, `UvicornWorker`", "gunicorn", 2, "", 22),
            ("gunicorn, `UvicornWorker`", "gunicorn", 2, _WRAPS, 0),
            ("gunicorn, `UvicornWorker`", "gunicorn", 2, _DRAINS, 0),
            ("gunicorn, `asgi` workers", "gunicorn", 2, "", 0),
            ("hypercorn", "hypercorn", 1, "", 0),
        )
    ),
    Scenario(name="gevent, patched first", run=greenlets.patched_first, accepted=500),
    Scenario(
        name="gevent, patched before the handler is made",
        run=greenlets.patched_after_import,
        accepted=500,
    ),
    Scenario(
        name="gevent, `os.fork` during an upload",
        run=greenlets.fork_during_an_upload,
        accepted=120,
    ),
    Scenario(name="Celery, SIGTERM", run=workers.celery, accepted=10),
    Scenario(
        name="Celery `--max-tasks-per-child=2`",
        run=workers.celery_that_replaces_workers,
        accepted=10,
    ),
    Scenario(
        name="Celery, a worker whose forking thread ends",
        run=workers.thread_that_forked_ends,
        accepted=1,
    ),
    *(
        Scenario(
            name=f"Celery `-P {pool}`",
            run=partial(workers.celery, options=["-P", pool]),
            accepted=10,
        )
        for pool in ("gevent", "solo", "threads")
    ),
    Scenario(
        name="Celery, which sets up logging after the app",
        run=workers.celery_that_sets_up_logging,
        accepted=10,
    ),
    Scenario(name="RQ", needs="redis-server", run=workers.rq, accepted=5),
    Scenario(
        name="RQ `SimpleWorker`",
        needs="redis-server",
        run=partial(workers.rq, options=["--worker-class", "rq.SimpleWorker"]),
        accepted=5,
    ),
    *(
        Scenario(
            name=f"`{command}`, SIGTERM",
            needs="redis-server",
            run=partial(workers.dramatiq, command=command),
            accepted=10,
        )
        for command in ("dramatiq", "dramatiq-gevent")
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
    Scenario(
        name="A line carries 30 KB/s; the server closes it after 10 s",
        run=partial(
            servers.beyond_patience,
            events=300,
            size=1_100,
            bytes_per_second=30_000,
            seconds_per_event=0,
        ),
        accepted=300,
    ),
    Scenario(
        name="A database takes 2 ms an event; its server closes after 10 s",
        run=partial(
            servers.beyond_patience,
            events=6_000,
            size=0,
            bytes_per_second=1e9,
            seconds_per_event=0.002,
        ),
        accepted=6_000,
    ),
    Scenario(name="The source is disabled for a while", run=servers.disabled, accepted=100),
    Scenario(name="The write key is wrong for a while", run=servers.wrong_key, accepted=100),
    Scenario(name="TLS, a private authority", run=tls.private_authority, accepted=100),
    Scenario(name="TLS, an expired certificate, replaced", run=tls.expired, accepted=100),
    Scenario(name="TLS, another host's, replaced", run=tls.wrong_host, accepted=100),
    Scenario(
        name="TLS, a client's certificate is demanded", run=tls.client_certificate, accepted=100
    ),
    _durable(
        name="a client's certificate is missing, then given",
        run=tls.client_certificate_missing,
        accepted=100,
    ),
    *(
        Scenario(
            name=f"A proxy wants a password, {kind}{how}",
            run=partial(run, encrypted=encrypted),
            accepted=100,
        )
        for encrypted, kind in ((False, "HTTP"), (True, "HTTPS"))
        for run, how in (
            (proxies.password, ""),
            (proxies.wrong_password, "; wrong for a while (407)"),
        )
    ),
    Scenario(
        name="A stranger answers 200 for a while",
        run=partial(
            servers.stranger,
            status=200,
            text='{"ok":true}',
            words="data_plane_url leads to something else",
        ),
        accepted=100,
    ),
    Scenario(
        name="A proxy answers 403 with a page of HTML for a while",
        run=partial(
            servers.stranger,
            status=403,
            text="<html><h1>Forbidden</h1></html>",
            words="what stands before the data plane",
        ),
        accepted=100,
    ),
    Scenario(
        name="The kept-alive connection is stale, 12 times",
        run=servers.stale_connection,
        accepted=130,
    ),
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
    *(
        Scenario(
            name=f"{what} logs inside a log call",
            run=partial(reentry.inside_emit, by=by),
            accepted=3_000,
        )
        for what, by in (
            ("A `__del__` in a garbage collection", "__del__"),
            ("A signal handler", "signal"),
            ("A filter", "filter"),
        )
    ),
    Scenario(
        name="Callbacks log events, and raise",
        run=reentry.callbacks,
        accepted=28,
        dropped={"refused": range(3), "before_send_failed": {19}},
    ),
    Scenario(
        name="A callback flushes and closes",
        run=reentry.flush_by_callback,
        accepted=20,
        dropped={"refused": range(3)},
    ),
    Scenario(name="Serverless: `flushing`, then `kill -9`", run=serverless.killed, accepted=100),
    Scenario(
        name="Serverless: `flushing`, frozen after each call", run=serverless.frozen, accepted=30
    ),
    # The durable queue.
    _durable(name="`kill -9`, then a new process", run=durable.killed, accepted=500),
    _durable(
        name="`kill -9` between upload and answer",
        run=durable.killed_while_sending,
        accepted=100,
        duplicates=range(100, 201),
    ),
    _durable(name="the server is down at the end", run=durable.server_down, accepted=500),
    _durable(
        name="`kill -9` of a gunicorn worker",
        run=durable.gunicorn_worker_killed,
        needs="gunicorn",
        accepted=50,
    ),
    _durable(
        name="`kill -9` three times while uploads go on",
        run=durable.killed_amidst,
        accepted=3_000,
        duplicates=range(3 * 80),
    ),
    _durable(name="`kill -9` of parent and forked child", run=durable.worker_killed, accepted=30),
    _durable(
        name="`kill -9` of one of three processes", run=durable.one_of_three_killed, accepted=30
    ),
    _durable(
        name="two sources share its directory, and do not mix", run=durable.two_sources, accepted=20
    ),
    _durable(name="the data plane has moved", run=durable.data_plane_moved, accepted=20),
    _durable(
        name="gunicorn's workers drop root, and are killed",
        run=durable.gunicorn_drops_privileges,
        needs="gunicorn",
        needs_root=True,
        accepted=20,
    ),
    _durable(
        name="a signal handler logs inside a log call",
        run=partial(reentry.inside_emit, by="signal"),
        accepted=3_000,
    ),
    _durable(
        name="a `__del__` logs when a daemon thread was ended amid its use",
        run=partial(
            exits.deleted_when_threads_are_gone,
            says="(rudder_logging: OrphanedError for the event at .*)?",
        ),
        accepted=11,
        dropped={"shutdown": {10}},
    ),
    _durable(name="a torn last line", run=disks.torn, accepted=10),
    _durable(name="its directory is removed", run=disks.removed, accepted=20),
    _durable(name="a read-only directory for a while", run=disks.read_only, accepted=20),
    _durable(name="a full disk for a while", run=disks.full, accepted=20),
    _durable(name="a damaged line", run=disks.damaged, accepted=10, dropped={"spool_damaged": {5}}),
    _durable(
        name="older than `max_age`", run=disks.expired, accepted=25, dropped={"expired": range(10)}
    ),
    _durable(
        name="over `max_bytes`",
        run=disks.over_max_bytes,
        accepted=25,
        dropped={"queue_full": range(9, 20)},
    ),
)
