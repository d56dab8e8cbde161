"""People whose events are erased from a spool whose disk is full, read only, or another user's.

Each by a real disk, or real permissions, in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from rudder_logging.dataplane import LocalDataPlane

from ..conftest import WRITE_KEY
from ..faults.disks import UNPRIVILEGED
from ..faults.stage import PATIENCE

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX locks"),
]

APP = """
import logging, os, sys, time
from pathlib import Path
from subprocess import run
from rudder_logging import RudderHandler
from rudder_logging.cli import main
logging.getLogger("rudder_logging").addHandler(logging.StreamHandler())
spool = Path(os.environ["RUDDER_QUEUE"].removeprefix("file://"))

def handler(**options):
    return RudderHandler(shutdown_timeout=0.1, upload_interval=3600, **options)

def log(by, *ids):
    for one in ids:
        by.accept({"user_id": one}, "e", time.time())

def texts():
    return "".join(path.read_text() for path in spool.glob("*/*") if path.is_file())

def until(condition):
    give_up = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)

def forgets(one, where=spool):
    return main(["forget", one, "--spool", str(where), "--yes"])
"""

STEPS = """
one, other = handler(), handler()
log(one, "a", "b", "a")
log(other, "a", "c")
fail()
log(one, "d")
assert one.suppress("a") == 2
log(one, "a")
stats = one.stats()
assert stats.balanced and stats.pending == 2 and stats.dropped == {"suppressed": 3}, stats
before = texts_now()
assert before.count('"a"') == LEFT, before
one.flush(60)  # which can't tell if others have left something
assert one.stats().pending == 0
mend()
until(lambda: other.stats().dropped == {"suppressed": 1})
until(lambda: '"a"' not in texts() and not list(spool.glob("*/erasures")))
assert other.stats().balanced and other.stats().pending == 1
assert other.flush(60)
print("suppressed", flush=True)

ended = handler()
log(ended, "x", "y", "x")
ended._pipeline.queue.abandon()
ended._pipeline.queue._store.after_fork()  # its locks are free
fail()
assert forgets("x") == FAILS
mend()
assert texts().count('"x"') == 2 and '"y"' in texts()
assert not list(spool.glob("*/.*.new"))
assert forgets("x") == 0
assert '"x"' not in texts()
last = handler()
assert last.flush(60)
for each in (one, other, last):
    assert each.stats().balanced
    each.close()
"""

FULL = """
run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "none", spool], check=True)
filler = spool / "filler"
texts_now = texts
def fail():
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
def mend():
    filler.unlink()
LEFT, FAILS = 1, 1  # the other one's: what is erased needs no room
"""

READ_ONLY = """
texts_now = texts
def fail():
    run(["mount", "--bind", spool, spool], check=True)
    run(["mount", "-o", "remount,bind,ro", spool], check=True)
def mend():
    run(["umount", spool], check=True)
LEFT, FAILS = 3, 1
"""

NO_NEW_FILES = """
texts_now = texts
def fail():
    for source in spool.iterdir():
        source.chmod(0o500)
def mend():
    for source in spool.iterdir():
        source.chmod(0o700)
LEFT, FAILS = 1, 1
"""

ANOTHERS = """
# All is imported by root: others may not read a checkout that is its owner's only.
elsewhere = spool.with_name("elsewhere")
warm = handler(queue=f"file://{elsewhere}")
log(warm, "q")
assert warm.suppress("q") == 1
assert forgets("q", elsewhere) == 0
warm.close()
os.chown(spool, 65534, 65534)
os.setegid(65534)
os.seteuid(65534)
def as_root(function):
    os.seteuid(0)
    try:
        return function()
    finally:
        os.seteuid(65534)
def give(user):
    for path in (*spool.iterdir(), *spool.glob("*/*")):
        os.chown(path, user, user)
def fail():
    as_root(lambda: give(4321))
def mend():
    as_root(lambda: give(65534))
def texts_now():
    return as_root(texts)
LEFT, FAILS = 3, 2
"""


@cache
def can_mount() -> bool:
    """Tell if this user may mount something, which nobody else sees."""
    words = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        sys.platform == "linux"
        and shutil.which("unshare") is not None
        and not subprocess.run(words, capture_output=True, check=False).returncode
    )


_NO_ROOM = "No space left on device", "make room on its disk"
_NO_WRITING = "Read-only file system", "mount it for writing"
_DENIED = "Permission denied", "chown, chmod"


@pytest.mark.parametrize(
    ("disk", "told", "failed"),
    [
        (FULL, _NO_ROOM, _NO_ROOM),
        (READ_ONLY, _NO_WRITING, _NO_WRITING),
        (NO_NEW_FILES, _DENIED, _DENIED),
        (ANOTHERS, ("of another user", "give it to the user that runs the app"), _DENIED),
    ],
    ids=["full", "read only", "no new files", "another's"],
)
def test_a_disk_that_does_not_let_us(
    disk: str,
    told: tuple[str, str],
    failed: tuple[str, str],
    plane: LocalDataPlane,
    tmp_path: Path,
) -> None:
    """Nothing else is lost, nothing of theirs leaves, and it is done once that is mended.

    By `suppress()`, with two handlers on the directory, and by the command.
    """
    wrapper: list[str] = []
    if "mount" in disk:
        if not can_mount():
            pytest.skip("only root can mount a disk")
        wrapper = ["unshare", "-m"]
    if disk is ANOTHERS and os.geteuid() != 0:
        pytest.skip("only root can play two users")
    spool = tmp_path / "spool"
    spool.mkdir(0o700)
    for path in (tmp_path, *tmp_path.parents):
        if disk is ANOTHERS and path.stat().st_uid == 0 and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o011)
    begins = UNPRIVILEGED if disk is NO_NEW_FILES else ""
    done = subprocess.run(
        [*wrapper, sys.executable, "-c", begins + APP + disk + STEPS],
        env={
            **os.environ,
            "RUDDER_WRITE_KEY": WRITE_KEY,
            "RUDDER_DATA_PLANE_URL": plane.url,
            "RUDDER_QUEUE": f"file://{spool}",
        },
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted({event["messageId"]: event["userId"] for event in plane.events}.values()) == [
        *"bcdy"
    ]
    lines = done.stderr.splitlines()
    (by_handler,) = (line for line in lines if "people who are suppressed" in line)
    assert all(words in by_handler for words in told)
    (by_command,) = (line for line in lines if line.startswith("Error"))
    assert all(words in by_command for words in failed)
