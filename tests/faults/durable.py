"""Processes with a durable queue, and what the next one does with what they left."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from .stage import Stage, wait_until

__all__ = ["exit_without_server", "killed", "killed_amidst", "removed", "torn", "worker_killed"]

_DIE = "os.kill(os.getpid(), signal.SIGKILL)"


def _segments(stage: Stage) -> list[Path]:
    return sorted((stage.directory / "spool").rglob("*.jsonl"))


def killed(stage: Stage) -> None:
    """SIGKILL with a backlog while the server is away; the next process delivers it."""
    stage.plane.overloaded = True
    stage.run(f"log(range(500))\n{_DIE}", code=-signal.SIGKILL)
    stage.plane.overloaded = False
    stage.run("log(range(500, 510))")


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


def exit_without_server(stage: Stage) -> None:
    """The server is down at the script's end: within shutdown_timeout, events stay in the spool."""
    stage.plane.stop()
    stage.run("log(range(50))", shutdown_timeout=0.3)
    stage.plane.start()
    stage.run("handler.flush()")


def torn(stage: Stage) -> None:
    """The last line was cut in the middle of its write: it is counted, the others arrive."""
    stage.plane.overloaded = True
    stage.run(f"log(range(10))\n{_DIE}", code=-signal.SIGKILL)
    (segment,) = _segments(stage)
    segment.write_bytes(segment.read_bytes() + b'{"messageId":"')
    stage.plane.overloaded = False
    says = "dropped 1 events [(]spool_torn: 1[)]\n"
    stage.run(
        "assert handler.flush()\nassert handler.stats().dropped == {'spool_torn': 1}",
        prelude="from rudder_logging import RudderHandler\nhandler = RudderHandler()\n",
        says=says,
    )


def removed(stage: Stage) -> None:
    """The spool's directory is removed while the process runs: nothing is lost, it is made anew."""
    stage.plane.overloaded = True
    process = stage.start_script(
        """
        log(range(10))
        note("ready")
        while os.path.exists("spool"):
            time.sleep(0.01)
        note("seen")
        time.sleep(1.1)  # it looks once a second
        log(range(10, 20))
        """
    )
    stage.wait_for_note("ready")
    shutil.rmtree(stage.directory / "spool")
    stage.wait_for_note("seen")
    wait_until(lambda: _segments(stage), "the spool to be made anew")
    stage.plane.overloaded = False
    process.wait()
    assert "files were removed" in process.stderr


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
