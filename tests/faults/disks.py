"""The durable queue's directory: full, read-only, removed; its files torn, damaged, old, large."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

from .stage import PRELUDE, Stage, wait_until

__all__ = [
    "UNPRIVILEGED",
    "damaged",
    "expired",
    "full",
    "over_max_bytes",
    "read_only",
    "removed",
    "torn",
]

_DIE = "os.kill(os.getpid(), signal.SIGKILL)"


def _segments(stage: Stage) -> list[Path]:
    return sorted((stage.directory / "spool").rglob("*.jsonl"))


def torn(stage: Stage) -> None:
    """The last line was cut in the middle of its write: it is counted, the others arrive."""
    stage.plane.overloaded = True
    stage.run("log(range(10))\nos.kill(os.getpid(), signal.SIGKILL)", code=-signal.SIGKILL)
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
        handler._pipeline.queue._look_at = 0.0  # it looks once a second
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


def _leave(stage: Stage, script: str) -> Path:
    """Have a process log events that the server does not take, and be killed; its segment."""
    stage.plane.overloaded = True
    stage.run(f"{script}\n{_DIE}", code=-signal.SIGKILL)
    stage.plane.overloaded = False
    (segment,) = _segments(stage)
    return segment


_NOTE_LETTERS = """
assert handler.flush()
for letter in map(json.loads, pathlib.Path("letters").read_text().splitlines()):
    number = int(re.search('"n":([0-9]+)', letter["message"])[1])
    message_id = re.search('"messageId":"([^"]+)"', letter["message"])[1]
    note("dropped", number, message_id, letter["reason"])
"""


def damaged(stage: Stage) -> None:
    """A line in the middle is no JSON any more: it is in the dead letters, the others arrive."""
    segment = _leave(stage, "log(range(10))")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[5] = b"\0" + lines[5][1:]
    segment.write_bytes(b"".join(lines))
    says = "dropped 1 events [(]spool_damaged: 1[)]\n"
    stage.run(
        _NOTE_LETTERS, "import json, pathlib, re\n" + PRELUDE, says=says, dead_letter="letters"
    )


def expired(stage: Stage) -> None:
    """Ten events are older than `max_age` when the next process finds them."""
    segment = _leave(stage, "log(range(20))")
    lines = segment.read_bytes().splitlines(keepends=True)
    aged = (re.sub(rb'("originalTimestamp":")\d+', rb"\g<1>2020", line) for line in lines[:10])
    segment.write_bytes(b"".join([*aged, *lines[10:]]))
    says = "dropped 10 events [(]expired: 10[)]\n"
    queue = f"file://{stage.directory / 'spool'}?max_age=3600"
    stage.run("log(range(20, 25))\nassert handler.flush()", says=says, queue=queue)


def over_max_bytes(stage: Stage) -> None:
    """Of 20 events of 10 KB, 9 are within `max_bytes`; once they are delivered, there is room."""
    stage.plane.overloaded = True
    process = stage.start_script(
        """
        log(range(20), size=10_000)
        note("full")
        until("go")
        assert handler.flush()
        log(range(20, 25), size=10_000)
        """,
        queue=f"file://{stage.directory / 'spool'}?max_bytes=100000",
    )
    stage.wait_for_note("full")
    assert sum(path.stat().st_size for path in _segments(stage)) <= 100_000
    stage.plane.overloaded = False
    stage.go()
    process.wait()
    assert process.stderr.count("queue_full") in (1, 2)


def full(stage: Stage) -> None:
    """No file may grow over 32 KB for a while (RLIMIT_FSIZE); once well, the process is killed."""
    stage.plane.overloaded = True
    stage.run(
        f"""
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (32_000, hard))
        log(range(10), size=10_000)  # the fourth one is cut in the middle
        assert handler.stats().spool_errors
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        handler._pipeline.queue._look_at = 0.0  # it looks once a second
        log(range(10, 20))
        {_DIE}
        """,
        code=-signal.SIGKILL,
        says="the queue's directory fails: No space left on device[^\n]*\n"
        "the queue's directory is well again[^\n]*\n",
    )
    stage.plane.overloaded = False
    stage.run("assert handler.flush()")


UNPRIVILEGED = """
import ctypes, os
if os.geteuid() == 0:  # gives up all capabilities, by one of which root writes everywhere
    ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())
"""
"""What a script begins with that permissions are to bind, whoever runs it."""


def read_only(stage: Stage) -> None:
    """Nothing can be written there for a while; once it can, the process is killed."""
    (stage.directory / "spool").mkdir(mode=0o500)
    stage.plane.overloaded = True
    stage.run(
        f"""
        log(range(10))
        assert handler.stats().spool_errors
        os.chmod("spool", 0o700)
        handler._pipeline.queue._look_at = 0.0  # it looks once a second
        log(range(10, 20))
        {_DIE}
        """,
        UNPRIVILEGED + PRELUDE,
        code=-signal.SIGKILL,
        says="the queue's directory fails: Permission denied[^\n]*\n"
        "the queue's directory is well again[^\n]*\n",
    )
    stage.plane.overloaded = False
    stage.run("assert handler.flush()")
