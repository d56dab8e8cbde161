"""The durable queue on a disk that fails for a while: nothing is unlinked unread, or told twice.

Where `os` is made to fail, root could not have it fail otherwise.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.queues import Batch
from rudder_logging.queues.file import FileQueue

from ..conftest import MakeHandler
from ..faults.disks import UNPRIVILEGED
from . import settle, take
from .test_file import PRELUDE, leave, message, numbers, queue_of, run, segments, until

Fault = Callable[..., bool]


@contextlib.contextmanager
def failing(name: str, code: int, when: Fault = lambda *_: True) -> Iterator[None]:
    """Have a function of `os` fail as the system would, for some of its calls."""
    original = getattr(os, name)

    def call(*args: Any, **options: Any) -> Any:
        if when(*args):
            raise OSError(code, os.strerror(code), *args[:1])
        return original(*args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, call)
        yield


def reads_a_segment(path: Any, flags: int, *_: Any) -> bool:
    """Whether that is what a call of `os.open` is for."""
    return str(path).endswith(".jsonl") and not flags & os.O_CREAT


def takes_over(path: Any, flags: int, *_: Any) -> bool:
    """Whether that is what a call of `os.open` is for."""
    return str(path).endswith(".progress") and not flags & os.O_EXCL


def log(handler: RudderHandler, *which: int) -> None:
    """Log events of 1.5 KB."""
    for number in which:
        properties = {"n": number, "text": "x" * 1_300}
        handler.accept({"user_id": "u", "properties": properties}, "e", time.time())


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said of the disk: `fails`, `is well`."""
    lines = (record.getMessage() for record in caplog.records)
    return [line.split("directory ")[1].split(";")[0].split(":")[0] for line in lines
            if line.startswith("the queue's directory")]  # fmt: skip


def test_own_events_that_cannot_be_read_for_a_while_wait(
    spool: Path,
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No descriptor is left for the next segment: its events are delivered later, in order, and
    meanwhile the listener does not ask for them again and again.
    """
    asked: list[int] = []
    take = FileQueue.take

    def asking(queue: FileQueue, *args: int) -> Batch | None:
        asked.append(1)
        return take(queue, *args)

    monkeypatch.setattr(FileQueue, "take", asking)
    plane.fail(503, times=None)
    handler = make_handler(queue=f"file://{spool}?max_bytes=320000", upload_interval=0)
    log(handler, 0)
    plane.wait_for_requests(1)  # or the listener might take all of them at once
    log(handler, *range(1, 100))
    many = len(segments(spool))
    with failing("open", errno.EMFILE, reads_a_segment):
        plane.heal()
        handler.flush(0)
        until(lambda: bool(handler.stats().spool_errors))
        asked.clear()
        assert not handler.flush(0.3)
        assert len(asked) < 5
        log(handler, 100)
        assert 1 < len(segments(spool)) <= many
        assert handler.stats().dropped == {}
    assert handler.flush(10)
    assert numbers(plane) == list(range(101))
    stats = handler.stats()
    assert (stats.delivered, stats.dropped, stats.pending) == (101, {}, 0)
    assert told(caplog) == ["fails"]


@pytest.mark.parametrize("mode", ["sync_mode", "thread"])
def test_a_full_queue_that_cannot_be_read_ends_no_call(
    spool: Path, plane: LocalDataPlane, make_handler: MakeHandler, mode: str
) -> None:
    """`block` waits no longer for room than it says: the event is dropped and counted."""
    plane.fail(503, times=None)
    handler = make_handler(
        queue=f"file://{spool}?max_bytes=32000",
        overflow="block",
        block_timeout=0.1,
        timeout=0.05,
        sync_mode=mode == "sync_mode",
        max_batch_bytes=4_000,
        max_event_bytes=3_000,
    )
    with failing("open", errno.EMFILE, reads_a_segment):
        log(handler, *range(30))
        plane.heal()
        log(handler, *range(30, 60))
        dropped = handler.stats().dropped["queue_full"]
    assert handler.flush(10)
    assert len({event["messageId"] for event in plane.events}) == 60 - dropped


@pytest.mark.slow
def test_what_a_process_left_waits_for_permission(away: LocalDataPlane, spool: Path) -> None:
    """A segment is another user's for a while: it stays, `flush` says so at once, and own events
    are delivered; once it can be read, so are those in it.
    """
    leave(away, spool, 5)
    (segment,) = segments(spool)
    segment.chmod(0)
    script = f"""
        log(5)
        assert not handler.flush(40)
        stats = handler.stats()
        print(stats.delivered, stats.dropped, stats.spool_errors)
        assert not handler.flush(40)
        os.chmod({str(segment)!r}, 0o600)
        assert handler.flush(40)
        stats = handler.stats()
        print(stats.adopted, stats.delivered, stats.dropped, stats.balanced, stats.spool_errors)
        """
    began = time.monotonic()
    code, out, err = run(away, spool, script, prelude=UNPRIVILEGED + PRELUDE)
    assert (code, out) == (0, "1 {} 1\n5 6 {} True 1\n"), err
    assert time.monotonic() - began < 30  # no flush has waited for what does not come
    assert err.count("directory fails: Permission denied") == 1
    assert numbers(away) == [5, 0, 1, 2, 3, 4]
    assert segments(spool) == []


@pytest.mark.slow
def test_another_users_lock_is_tried_again(away: LocalDataPlane, spool: Path) -> None:
    """What can't be taken over is nothing that `flush` waits for; that is told, and counted, once;
    and when it can be, it is.
    """
    leave(away, spool, 5)
    (lock,) = spool.rglob("*.progress")
    lock.chmod(0)
    script = f"""
        log(5)
        assert handler.flush(40) and handler.flush(40)
        stats = handler.stats()
        print(stats.delivered, stats.dropped, stats.spool_errors)
        os.chmod({str(lock)!r}, 0o600)
        assert handler.flush(40)
        print(handler.stats().adopted, handler.stats().delivered)
        """
    code, out, err = run(away, spool, script, prelude=UNPRIVILEGED + PRELUDE)
    assert (code, out) == (0, "1 {} 1\n5 6\n"), err
    assert err.count("directory fails: Permission denied") == 1
    assert segments(spool) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "when"),
    [("open", takes_over), ("open", reads_a_segment), ("scandir", lambda *_: True)],
)
def test_what_could_not_be_taken_over_is_tried_again(
    away: LocalDataPlane,
    spool: Path,
    make_handler: MakeHandler,
    name: str,
    when: Fault,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """No descriptors are left for a while. Meanwhile other processes may take it over."""
    leave(away, spool, 5, 5)
    caplog.clear()
    locks = list(spool.rglob("*.progress"))
    looks = [1] if name == "scandir" else []  # the look itself succeeds
    with failing(name, errno.EMFILE, lambda *args: when(*args) and not (looks and looks.pop())):
        handler = make_handler(data_plane_url=away.url, queue=f"file://{spool}")
        assert not handler.flush(0)
        assert told(caplog) == ["fails"]
        for path in locks:
            with path.open() as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert len(segments(spool)) == 2
    assert handler.flush(10)
    assert sorted(numbers(away)) == list(range(10))
    stats = handler.stats()
    assert (stats.adopted, stats.delivered, stats.dropped) == (10, 10, {})


def leave_here(spool: Path, *which: int) -> None:
    """Have a queue for each of these messages, and leave it as if its process had been killed."""
    for number in which:
        queue, _ledger = queue_of(spool)
        queue.put(message(number))
        queue.after_fork()


def test_of_many_that_fail_some_are_tried_at_each_look(spool: Path) -> None:
    """A disk that fails is not asked for thousands of files a second; what can be read is first."""
    leave_here(spool, *range(20))
    asked: list[str] = []

    def noted(path: str, flags: int, *_: Any) -> bool:
        if takes_over(path, flags):
            asked.append(path)
        return takes_over(path, flags)

    with failing("open", errno.EMFILE, noted):
        queue, ledger = queue_of(spool)
        assert len(set(asked)) == len(asked) == 16
    with failing("open", errno.EMFILE, lambda path, *_: str(path) in asked):
        queue.recover()
        assert take(queue, 100_000) == [message(number) for number in range(16, 20)]
        settle(queue, 4)
    queue.recover()
    found = take(queue, 100_000)
    settle(queue, 16)
    assert found == [message(number) for number in range(16)]
    assert ledger.snapshot(queue).adopted == 20
    assert segments(spool) == []


def test_what_waits_in_memory_is_behind_what_cannot_be_read(spool: Path) -> None:
    """Events leave in the order of the calls."""
    queue, _ledger = queue_of(spool, "max_bytes=16000")
    for number in range(20):
        queue.put(message(number, text="x" * 100))
    with failing("write", errno.ENOSPC), failing("open", errno.EMFILE, reads_a_segment):
        queue.put(message(20))
        found = take(queue, 100_000)
        settle(queue, len(found))
        assert take(queue, 100_000) == []
        assert queue.depth().events == queue.depth().waiting == 21 - len(found)
        assert not queue.wait_until_settled(21, 0)
    queue._look_at = 0.0  # as if a second had passed
    found += take(queue, 100_000)
    assert found == [*(message(number, text="x" * 100) for number in range(20)), message(20)]
    queue.after_fork()


def test_own_events_of_a_new_part_are_behind_what_cannot_be_read(spool: Path) -> None:
    """Somebody has removed the lock's file: what comes next is in files of another name."""
    queue, _ledger = queue_of(spool)
    queue.put(message(0))
    (lock,) = spool.rglob("*.progress")
    lock.unlink()
    queue._look_at = 0.0  # as if a second had passed
    queue.put(message(1))
    (first, _) = segments(spool)
    inode = first.stat().st_ino
    with failing("pread", errno.EIO, lambda file, *_: os.fstat(file).st_ino == inode):
        assert take(queue, 100_000) == []
    queue._look_at = 0.0  # as if a second had passed
    assert take(queue, 100_000) == [message(0), message(1)]
    queue.after_fork()


def grows(file: int, data: bytes, offset: int) -> bool:
    """Whether `os.pwrite` would need room."""
    return offset + len(data) > os.fstat(file).st_size


@pytest.mark.parametrize("when", [grows, lambda *_: True], ids=["overwrites", "copies on write"])
def test_a_full_disk_is_freed_by_delivery(spool: Path, when: Fault) -> None:
    """What is delivered leaves a disk that takes nothing more, and does not come again."""
    queue, ledger = queue_of(spool, "max_bytes=16000")
    for number in range(60):
        queue.put(message(number, text="x" * 100))
    many = len(segments(spool))
    with failing("write", errno.ENOSPC), failing("pwrite", errno.ENOSPC, when):
        settle(queue, len(take(queue, 4_000)))
        assert 1 < len(segments(spool)) < many
        while batch := take(queue, 4_000):
            errors = ledger.snapshot(queue).spool_errors
            settle(queue, len(batch))
        assert segments(spool) == []
        assert ledger.snapshot(queue).spool_errors == errors  # the last one leaves nothing to note
        assert (errors == 0) is (when is grows)
    queue.after_fork()  # its locks are gone, as if it had been killed
    queue.recover()
    assert take(queue, 100_000) == []
    queue.after_fork()


def test_a_full_disk_that_takes_no_lock_leaves_none(spool: Path) -> None:
    """Each attempt would leave an empty file there otherwise."""
    queue, _ledger = queue_of(spool)
    with failing("pwrite", errno.ENOSPC):
        for number in range(3):
            queue._look_at = 0.0  # as if a second had passed
            queue.put(message(number))
    assert [path for path in spool.rglob("*") if path.is_file()] == []
    assert take(queue, 100_000) == [message(number) for number in range(3)]


def test_a_part_of_a_line_that_stays_costs_no_other(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full in the middle of a line, and does not let it be taken back."""
    queue, ledger = queue_of(spool)
    for number in range(5):
        queue.put(message(number))
    write = os.write
    with failing("ftruncate", errno.EIO):
        monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:5]))
        queue.put(message(5))
        monkeypatch.undo()
    queue._look_at = 0.0  # as if a second had passed
    queue.put(message(6))
    assert take(queue, 100_000) == [message(number) for number in range(7)]
    assert settle(queue, 7) == 7
    assert ledger.dropped() == {}
    assert queue.depth()[:2] == (0, 0)
    assert segments(spool) == []


def test_a_full_disk_is_told_once_though_memory_is_emptied(
    spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is well when it takes as much as it did not take, and no sooner: short lines still fit."""
    queue, ledger = queue_of(spool)

    def put(*which: int, text: str = "") -> None:
        for number in which:
            queue._look_at = 0.0  # as if a second had passed
            queue.put(message(number, text=text))
        settle(queue, len(take(queue, 100_000)))

    put(0)
    with failing("write", errno.ENOSPC, lambda _file, line: len(line) > 100):
        for number in range(1, 6):
            put(number, text="x" * 200)
            put(10 + number)
    assert told(caplog) == ["fails"]
    assert ledger.snapshot(queue).spool_errors == 5
    put(*range(6, 10), text="x" * 200)
    assert told(caplog) == ["fails", "is well again"]
    assert caplog.records[0].levelno == logging.ERROR
