"""The durable queue: what a process leaves behind, the next one delivers."""

from __future__ import annotations

import os
import signal
import tempfile
from typing import Any

from .stage import Stage, wait_until
from .web import end_gunicorn, start_gunicorn, visit

__all__ = [
    "data_plane_moved",
    "gunicorn_drops_privileges",
    "gunicorn_worker_killed",
    "killed",
    "killed_amidst",
    "killed_while_sending",
    "one_of_three_killed",
    "server_down",
    "two_sources",
    "worker_killed",
]


_NOBODY = 65534


def _next_process(stage: Stage, **options: Any) -> None:
    """It merely makes a handler."""
    stage.run("assert handler.flush()", **options)


def killed(stage: Stage) -> None:
    """SIGKILL while the server is down."""
    stage.plane.stop()
    process = stage.start_script("log(range(500))\nnote('ready')\nsignal.pause()")
    stage.wait_for_note("ready")
    process.signal(signal.SIGKILL)
    process.wait(-signal.SIGKILL)
    stage.plane.start()
    _next_process(stage)


def killed_while_sending(stage: Stage) -> None:
    """SIGKILL while an upload is stored whose answer nobody will read."""
    stage.plane.cut(accepted=True, times=None)
    process = stage.start_script(
        "log(range(100))\nsignal.pause()", upload_interval=60, upload_size=100
    )
    stage.plane.wait_for(100)  # in one upload, which may be sent again, in smaller ones, by now
    process.signal(signal.SIGKILL)
    process.wait(-signal.SIGKILL)
    stage.plane.heal()
    _next_process(stage)


def server_down(stage: Stage) -> None:
    """The process ends while the server is down."""
    stage.plane.stop()
    stage.run("log(range(500))", shutdown_timeout=0.2)
    stage.plane.start()
    _next_process(stage)


def gunicorn_worker_killed(stage: Stage) -> None:
    """SIGKILL to a worker with a backlog; the one that takes its place delivers it."""
    server, port = start_gunicorn(stage, "sync", preload=False)
    victim = visit(port, range(40))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: f"(pid:{victim}) was sent SIGKILL" in server.stderr, "the master to notice")
    visit(port, range(40, 50))
    end_gunicorn(server)


def killed_amidst(stage: Stage) -> None:
    """SIGKILL three times while events are being delivered: an answer may be lost each time."""
    stage.plane.latency = 0.02
    for turn in range(3):
        first = 1_000 * turn
        process = stage.start_script(
            f"""
            log(range({first}, {first + 1_000}))
            note("ready")
            signal.pause()
            """,
            max_batch_bytes=20_000,
            max_event_bytes=10_000,
        )
        stage.wait_for_note("ready", turn + 1)
        process.signal(signal.SIGKILL)
        process.wait(-signal.SIGKILL)
    stage.run("")


def worker_killed(stage: Stage) -> None:
    """A forked worker is killed with its backlog, and so is its parent; the next one has both."""
    stage.plane.overloaded = True
    process = stage.start_script(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        log(range(10))
        child = os.fork()
        if not child:
            log(range(10, 20))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        note("killed")
        signal.pause()
        """
    )
    stage.wait_for_note("killed")
    process.signal(signal.SIGKILL)
    process.wait(-signal.SIGKILL)
    stage.plane.overloaded = False
    stage.run("log(range(20, 30))")


def one_of_three_killed(stage: Stage) -> None:
    """Three processes share the spool; one is killed, and those that live on deliver its events."""
    stage.plane.overloaded = True
    survivors = [
        stage.start_script(
            f"""
            log(range({first}, {first + 10}))
            note("ready")
            until("go")
            assert handler.flush()
            """
        )
        for first in (0, 10)
    ]
    stage.run("log(range(20, 30))\nos.kill(os.getpid(), signal.SIGKILL)", code=-signal.SIGKILL)
    stage.wait_for_note("ready", 2)
    stage.plane.overloaded = False
    stage.go()
    for process in survivors:
        process.wait()
        assert process.stderr == ""
    assert sum(line.details[1]["adopted"] for line in stage.noted("stats")) == 10


def two_sources(stage: Stage) -> None:
    """What one source left is not the other's to deliver, though both have the same directory."""
    stage.plane.overloaded = True
    stage.run("log(range(10))\nos.kill(os.getpid(), signal.SIGKILL)", code=-signal.SIGKILL)
    stage.plane.overloaded = False
    stage.plane.write_key = None  # it has both
    stage.run(
        "log(range(10, 20))\nassert handler.flush()",
        write_key="another-key",
        says=r"10 events since .* under another write key, .*rudder-logging replay .*\n",
    )
    assert stage.account().delivered == frozenset(range(10, 20))
    _next_process(stage)


def data_plane_moved(stage: Stage) -> None:
    """What was written for a wrong URL goes out when the app is started with the right one."""
    stage.run(
        "log(range(20))\nos.kill(os.getpid(), signal.SIGKILL)",
        code=-signal.SIGKILL,
        data_plane_url="http://127.0.0.1:9",
    )
    _next_process(stage)


def gunicorn_drops_privileges(stage: Stage) -> None:
    """Root's master makes the spool, in the app user's directory; all are killed."""
    with tempfile.TemporaryDirectory() as directory:
        os.chown(directory, _NOBODY, _NOBODY)
        queue = f"file://{directory}/spool"
        stage.plane.overloaded = True
        words = ("--user", str(_NOBODY), "--group", str(_NOBODY))
        server, port = start_gunicorn(stage, "sync", *words, preload=True, queue=queue)
        visit(port, range(1, 20))
        server.kill()
        stage.plane.overloaded = False
        _next_process(stage, queue=queue)
