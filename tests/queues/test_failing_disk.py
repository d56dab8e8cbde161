"""The durable queue on a disk that fails for a while.

Where `os` is made to fail, root could not have it fail otherwise.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .test_file import message, queue_of, segments

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
        queue.ack(len(queue.get(4_000)))
        assert 1 < len(segments(spool)) < many
        while batch := queue.get(4_000):
            errors = ledger.snapshot(queue).spool_errors
            queue.ack(len(batch))
        assert segments(spool) == []
        assert ledger.snapshot(queue).spool_errors == errors  # the last one leaves nothing to note
        assert (errors == 0) is (when is grows)
    queue.begin_anew()  # its locks are gone, as if it had been killed
    queue.recover()
    assert queue.get(100_000) == []
    queue.begin_anew()


def test_a_full_disk_that_takes_no_lock_leaves_none(spool: Path) -> None:
    """Each attempt would leave an empty file there otherwise."""
    queue, _ledger = queue_of(spool)
    with failing("pwrite", errno.ENOSPC):
        for number in range(3):
            queue._look_at = 0.0  # as if a second had passed
            queue.put(message(number))
    assert [path for path in spool.rglob("*") if path.is_file()] == []
    assert queue.get(100_000) == [message(number) for number in range(3)]


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
    assert queue.get(100_000) == [message(number) for number in range(7)]
    assert queue.ack(7) == 7
    assert ledger.dropped() == {}
    assert queue.pending() == (0, 0)
    assert segments(spool) == []
