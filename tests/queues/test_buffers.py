"""The shipped contract of buffers, over ours and one that a third party might write."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery.ledger import Ledger
from rudder_logging.delivery.reports import Reports
from rudder_logging.exceptions import ConfigError
from rudder_logging.queues import Batch, Buffer, MemoryQueue, open_queue, opening, register
from rudder_logging.testing import BufferContract

from ..conftest import MakeHandler, Wire
from .one_file import EvictingFile, OneFile

EVENT = {"rudder": {"user_id": "u"}}
POSIX_ONLY = pytest.mark.skipif(os.name == "nt", reason="there is no durable queue")


class TestMemory(BufferContract):
    """The queue in memory."""

    def make_buffer(self, max_bytes: int) -> Buffer:
        """As the option `queue` does."""
        return open_queue("memory://", source="", max_events=1_000, max_bytes=max_bytes)


@POSIX_ONLY
class TestFile(BufferContract):
    """The durable queue."""

    @pytest.fixture(autouse=True)
    def _spool(self, tmp_path: Path) -> Iterator[None]:
        self.spool, self.made = tmp_path, list[Any]()
        yield
        for queue in self.made:
            queue.after_fork()  # lets go of files

    def make_buffer(self, max_bytes: int) -> Buffer:
        """As the option `queue` does."""
        url = f"file://{self.spool}?max_bytes={max_bytes}"
        queue = open_queue(url, source="", max_events=1_000, max_bytes=1_000_000)
        queue.attach(Reports(Ledger()))
        self.made.append(queue)
        return queue


class TestOneFile(BufferContract):
    """One of a third party's."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_buffer(self, max_bytes: int) -> Buffer:
        """In a file of this test's."""
        return OneFile(self.folder / "events", max_bytes)


class TestEvictingFile(TestOneFile):
    """One that can do more."""

    def make_buffer(self, max_bytes: int) -> Buffer:
        """In a file of this test's."""
        return EvictingFile(self.folder / "events", max_bytes)


class TestShared(TestEvictingFile):
    """The queue that shares one among threads."""

    def make_buffer(self, max_bytes: int) -> Buffer:
        """Over the other."""
        buffer = super().make_buffer(max_bytes)
        queue = open_queue(buffer, source="", max_events=1_000, max_bytes=1_000)
        queue.attach(Reports(Ledger()))
        return queue


class Lossy(OneFile):
    """A buffer that forgets what is handed out."""

    def take(self, max_bytes: int) -> Batch | None:
        """Hand out, and forget at once."""
        batch = super().take(max_bytes)
        if batch:
            super().settle(batch, len(batch))
        return batch


def test_the_contract_is_broken_by_a_buffer_that_forgets(tmp_path: Path) -> None:
    """The tests can fail."""

    class Contract(BufferContract):
        def make_buffer(self, max_bytes: int) -> Buffer:
            return Lossy(tmp_path / "events", max_bytes)

    with pytest.raises(AssertionError):
        Contract().test_take_gives_the_same_until_it_is_settled()


# A buffer of the app's behind a handler.


@pytest.fixture
def buffer(tmp_path: Path) -> OneFile:
    """One with room for a few events."""
    return OneFile(tmp_path / "events", 2_000)


def test_a_handler_delivers_through_it(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, buffer: OneFile
) -> None:
    """Logged by several threads at once, though the buffer has no lock; nothing is lost."""
    handler = make_handler(queue=buffer, overflow="block", block_timeout=30, upload_interval=0)
    logger = wire(handler)

    def log() -> None:
        for _ in range(25):
            logger.info("e", extra=EVENT)

    threads = [threading.Thread(target=log) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert handler.flush()
    assert len(plane.events) == 100
    stats = handler.stats()
    assert (stats.accepted, stats.delivered, stats.pending) == (100, 100, 0)


def test_a_flush_does_not_wait_for_what_comes_after_it(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, buffer: OneFile
) -> None:
    """It returns when what was logged before has been settled."""
    plane.fail(503, times=None)
    handler = make_handler(queue=buffer)
    logger = wire(handler)
    logger.info("first", extra=EVENT)
    assert not handler.flush(0.1)
    plane.heal()
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["first"]


def test_what_it_cannot_keep_is_counted_at_the_end(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, buffer: OneFile
) -> None:
    """It says nothing of outliving the process."""
    plane.fail(503, times=None)
    handler = make_handler(queue=buffer, shutdown_timeout=0.1)
    wire(handler).info("e", extra=EVENT)
    handler._listener.finish(0.0)
    stats = handler.stats()
    assert (stats.dropped, stats.pending) == ({"shutdown": 1}, 0)


def test_what_was_there_before_is_adopted(
    make_handler: MakeHandler, plane: LocalDataPlane, buffer: OneFile
) -> None:
    """The ledger knows of it, and balances."""
    buffer.put(b'{"type":"track","event":"e","userId":"u","messageId":"m"')
    handler = make_handler(queue=buffer)
    assert handler.flush()
    assert len(plane.events) == 1
    stats = handler.stats()
    assert (stats.adopted, stats.delivered, stats.balanced) == (1, 1, True)


def test_a_full_one_drops_what_is_new(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, buffer: OneFile
) -> None:
    """And says so as any other."""
    plane.fail(503, times=None)
    handler = make_handler(queue=buffer)
    logger = wire(handler)
    for _ in range(100):
        logger.info("e", extra=EVENT)
    stats = handler.stats()
    assert stats.dropped["queue_full"] + stats.pending == 100
    assert stats.balanced
    plane.heal()


def test_without_evict_it_cannot_drop_the_oldest(
    make_handler: MakeHandler, buffer: OneFile
) -> None:
    """The handler says so when it is made."""
    with pytest.raises(ConfigError, match=r"overflow can't be drop_old: .* no evict\(\)"):
        make_handler(queue=buffer, overflow="drop_old")


def test_with_evict_it_does(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """The newest events are those that arrive."""
    plane.fail(503, times=None)
    buffer = EvictingFile(tmp_path / "events", 2_000)
    handler = make_handler(queue=buffer, overflow="drop_old", upload_interval=3_600)
    logger = wire(handler)
    for number in range(100):
        logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": number}}})
    stats = handler.stats()
    assert stats.dropped["queue_full"] + stats.pending == 100
    assert stats.balanced
    plane.heal()
    assert handler.flush()
    numbers = [event["properties"]["n"] for event in plane.events]
    assert numbers == list(range(100 - len(numbers), 100))


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no such signals")
def test_a_signal_handler_that_logs_amid_a_call_of_it(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """No two calls overlap: what comes meanwhile is put when the other is over."""
    depth = 0

    class Alone(OneFile):
        interruption: Any = None

        def put(self, message: bytes) -> int:
            nonlocal depth
            depth += 1
            assert depth == 1
            if self.interruption:
                interruption, self.interruption = self.interruption, None
                interruption()
            try:
                return super().put(message)
            finally:
                depth -= 1

    buffer = Alone(tmp_path / "events", 10_000)
    handler = make_handler(queue=buffer)
    logger = wire(handler)
    buffer.interruption = lambda: logger.info("inner", extra=EVENT)
    logger.info("outer", extra=EVENT)
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["outer", "inner"]
    assert handler.stats().balanced


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_what_a_put_kept_that_raised_is_counted(
    make_handler: MakeHandler,
    plane: LocalDataPlane,
    tmp_path: Path,
    *,
    kept: bool,
    error: type[BaseException],
) -> None:
    """By whether there is one more message then."""

    class Interrupted(OneFile):
        def put(self, message: bytes) -> int:
            if kept:
                super().put(message)
            raise error

    handler = make_handler(queue=Interrupted(tmp_path / "events", 10_000))
    with pytest.raises(error):
        handler.accept({"user_id": "u"}, "e", 1.0)
    assert handler.flush()
    assert len(plane.events) == kept
    reason = "interrupted" if error is KeyboardInterrupt else "queue_failed"
    assert handler.stats().dropped == ({} if kept else {reason: 1})
    assert handler.stats().balanced


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_childs_events_wait_in_memory(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, buffer: OneFile
) -> None:
    """The buffer, which has no `after_fork`, stays the parent's, with what is in it."""
    handler = make_handler(queue=buffer, upload_interval=3_600)
    logger = wire(handler)
    logger.info("parent", extra=EVENT)
    pid = os.fork()
    if not pid:
        try:
            logger.info("child", extra=EVENT)
            os._exit(0 if handler.flush(10) and isinstance(buffer, OneFile) else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert [event["event"] for event in plane.events] == ["child"]
    assert handler.flush()
    assert [event["event"] for event in plane.events] == ["child", "parent"]


# By URL.


def test_a_registered_scheme_makes_the_queue(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A third party's maker gets the URL, the source and the bounds of memory."""
    asked: list[Any] = []

    def make(url: str, *, source: str, max_events: int, max_bytes: int) -> OneFile:
        asked.append((url, max_events, max_bytes))
        assert "test-write-key" in source
        return OneFile(tmp_path / "events", max_bytes)

    monkeypatch.setattr(opening.QUEUES, "_makers", {})
    register("onefile", make)
    handler = make_handler(queue="onefile:events", max_queue_size=7, max_queue_bytes=5_000)
    wire(handler).info("e", extra=EVENT)
    assert (tmp_path / "events").exists()
    assert handler.flush()
    assert len(plane.events) == 1
    assert asked == [("onefile:events", 7, 5_000)]


def test_a_scheme_that_nobody_registered_is_told(
    make_handler: MakeHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With those that are there."""
    monkeypatch.setattr(opening.QUEUES, "_makers", {})
    register("onefile", lambda _url, **_bounds: MemoryQueue(max_events=1, max_bytes=1))
    with pytest.raises(ConfigError, match=r"queue must be memory://, file:.*, onefile:\.\.\., or"):
        make_handler(queue="onefiel:events")


def test_the_package_keeps_its_own_schemes() -> None:
    """As those of sinks do."""
    for scheme in ("memory", "file"):
        with pytest.raises(ValueError, match="own"):
            register(scheme, lambda _url, **_bounds: MemoryQueue(max_events=1, max_bytes=1))


def test_a_maker_that_makes_no_buffer_is_told(
    make_handler: MakeHandler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it lacks is named."""
    monkeypatch.setattr(opening.QUEUES, "_makers", {})
    wrong: Any = lambda _url, **_bounds: object()  # noqa: E731
    register("wrong", wrong)
    with pytest.raises(ConfigError, match="lacking: put, take, settle, depth, close"):
        make_handler(queue="wrong:")
