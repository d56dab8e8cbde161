"""People whose events are erased from a spool: by whom, from where, and what may come between."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.cli import main
from rudder_logging.cli.common import ExitCode
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery.ledger import Ledger
from rudder_logging.queues.file import FileQueue, erasing

from ..conftest import WRITE_KEY, MakeHandler
from ..faults.stage import PATIENCE
from .test_file import message, queue_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX locks"),
]

APP = """
import logging, os, signal, sys, time
import rudder_logging
from rudder_logging import RudderHandler
handler = RudderHandler(shutdown_timeout=0.1, upload_interval=3600)
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
def log(*ids):
    for one in ids:
        logger.info("e", extra={"rudder": {"user_id": one}})
def dropped():
    return handler.stats().dropped.get("suppressed", 0)
def until(condition):
    while not condition():
        time.sleep(0.01)
def die():
    os.kill(os.getpid(), signal.SIGKILL)
for command in sys.stdin:
    exec(command)
    print("done", flush=True)
"""
"""A process with a durable queue that does what it is told, a line at a time."""


class App:
    """Such a process."""

    def __init__(self, plane: LocalDataPlane, spool: Path, **env: str) -> None:
        given = {
            "RUDDER_WRITE_KEY": WRITE_KEY,
            "RUDDER_DATA_PLANE_URL": plane.url,
            "RUDDER_QUEUE": f"file://{spool}",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", "-c", APP],
            env={**os.environ, **given, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def does(self, command: str) -> None:
        """Have it do something, and wait until it has."""
        self.begins(command)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "done\n", command

    def begins(self, command: str) -> None:
        """Have it do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        with contextlib.suppress(ValueError):  # it was killed before
            self.process.communicate()


StartApp = Callable[..., App]


@pytest.fixture
def app(spool: Path, away: LocalDataPlane) -> Iterator[StartApp]:
    """Start such processes; they end with the test."""
    started: list[App] = []

    def start(*ids: str, **env: str) -> App:
        started.append(App(away, spool, **env))
        started[-1].does(f"log{(*ids, '')[:-1]!r}")
        return started[-1]

    yield start
    for one in started:
        one.kill()


def texts(spool: Path) -> str:
    """All that is written there."""
    found = ""
    for path in spool.rglob("*"):
        with contextlib.suppress(FileNotFoundError, IsADirectoryError):
            found += path.read_text()
    return found


def pending(spool: Path) -> Counter[str]:
    """Whose events are there: a line that begins with a blank is erased, be it in part."""
    lines = texts(spool).splitlines()
    return Counter(json.loads(line)["userId"] for line in lines if line[:1] == "{")


def until(condition: Callable[[], object]) -> None:
    """Wait for something."""
    give_up = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < give_up
        sleep(0.01)


def requests_in(spool: Path) -> list[Path]:
    """The files of requests that not all have carried out."""
    return list(spool.glob("*/erasures"))


@pytest.fixture
def handler(spool: Path, away: LocalDataPlane, make_handler: MakeHandler) -> RudderHandler:
    """A handler of this process with the same queue."""
    options: dict[str, Any] = {"queue": f"file://{spool}", "upload_interval": 3_600}
    return make_handler(data_plane_url=away.url, shutdown_timeout=0.1, **options)


def log(handler: RudderHandler, *ids: str) -> None:
    """An event of each."""
    for one in ids:
        handler.accept({"user_id": one}, "e", 1.7e9)


def arrived(make_handler: MakeHandler, plane: LocalDataPlane, spool: Path) -> Counter[str]:
    """Have the next process of that source deliver what is there; whose it was, each once."""
    plane.heal()
    handler = make_handler(data_plane_url=plane.url, queue=f"file://{spool}")
    assert handler.flush(PATIENCE)
    handler.close()
    by_id = {event["messageId"]: event["userId"] for event in plane.events}
    assert len(by_id) == len(plane.events)
    return Counter(by_id.values())


def test_the_bytes_are_gone_at_once(
    handler: RudderHandler, spool: Path, away: LocalDataPlane
) -> None:
    """Those of what is being delivered, too; what is not theirs stays as it is."""
    away.fail(503, retry_after=3_600, times=None)
    log(handler, "a", "b", "a")
    handler.flush(0)
    until(lambda: handler.stats().retries)
    log(handler, "c", "a")
    before = texts(spool)
    assert handler.suppress("a") == 1
    assert '"a"' not in texts(spool)
    assert len(texts(spool)) == len(before)
    assert pending(spool) == {"b": 1, "c": 1}
    assert handler.stats().balanced
    assert handler.stats().pending == 4
    away.heal()
    assert handler.flush(PATIENCE)
    assert [event["userId"] for event in away.events] == ["b", "c"]
    assert handler.stats().dropped == {"suppressed": 3}
    assert handler.stats().pending_bytes == 0


def test_a_living_process_learns_of_it_by_itself(
    app: StartApp, handler: RudderHandler, spool: Path, away: LocalDataPlane
) -> None:
    """It erases from its own files, and counts; later events of theirs are its own affair."""
    other = app("a", "b", "a")
    log(handler, "a", "c")
    assert handler.suppress("a") == 1
    other.does("until(lambda: dropped() == 2)")
    other.does("assert handler.stats().balanced and handler.stats().pending == 1")
    assert pending(spool) == {"b": 1, "c": 1}
    until(lambda: not requests_in(spool))
    other.does("log('a')")
    log(handler, "a")
    assert pending(spool) == {"a": 1, "b": 1, "c": 1}
    away.heal()
    other.does("assert handler.flush(60)")
    assert handler.flush(PATIENCE)
    assert sorted(event["userId"] for event in away.events) == ["a", "b", "c"]


def test_a_request_holds_no_id(app: StartApp, handler: RudderHandler, spool: Path) -> None:
    """It has hashes, for its owner's eyes only, and goes when all have carried it out."""
    other = app("jane", "jo")
    other.process.send_signal(signal.SIGSTOP)
    log(handler, "jane")
    handler.suppress("jane")
    (request,) = requests_in(spool)
    assert request.stat().st_mode & 0o777 == 0o600
    assert "jane" not in request.read_text()
    first = request.read_text()
    log(handler, "jo")
    handler.suppress("jane")
    again = request.read_text().removeprefix(first)
    assert again[21:] == first.partition("\n")[2][21:]  # by one salt
    other.process.send_signal(signal.SIGCONT)
    other.does("until(lambda: dropped() == 1)")
    until(lambda: not requests_in(spool))
    assert pending(spool) == {"jo": 2}


def test_a_process_that_is_uploading_them(
    app: StartApp, handler: RudderHandler, spool: Path, away: LocalDataPlane
) -> None:
    """The batch that is on its way is theirs no more at the next attempt."""
    away.fail(503, retry_after=3_600, times=None)
    other = app("a", "b", "a")
    other.does("handler.flush(0)")  # in one batch
    other.does("until(lambda: handler.stats().retries)")
    handler.suppress("a")
    until(lambda: pending(spool) == {"b": 1})
    other.does("assert handler.stats().pending == 3")
    away.heal()
    other.does("assert handler.flush(60)")
    other.does("assert handler.stats().balanced and dropped() == 2")
    assert [event["userId"] for event in away.events] == ["b"]


def test_what_processes_that_ended_have_left(
    app: StartApp, handler: RudderHandler, spool: Path, away: LocalDataPlane
) -> None:
    """Nobody has taken it over yet: it is erased all the same, and counted."""
    for _ in range(2):
        app("a", "b").kill()
    assert handler.suppress("a") == 2
    assert pending(spool) == {"b": 2}
    assert handler.stats().dropped == {"suppressed": 2}
    assert handler.stats().balanced
    assert not requests_in(spool)
    away.heal()
    assert handler.flush(PATIENCE)
    assert [event["userId"] for event in away.events] == ["b", "b"]


def test_a_process_that_ends_before_it_has_learnt_of_it(
    app: StartApp, spool: Path, away: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """Whoever takes over does as was asked, before anything leaves."""
    other = app("a", "b")
    other.process.send_signal(signal.SIGSTOP)
    one = app()
    one.does("handler.suppress('a')")
    assert pending(spool)["a"] == 1
    for process in (other, one):
        process.kill()
    away.clear()
    assert arrived(make_handler, away, spool) == {"b": 1}
    assert '"a"' not in texts(spool)
    assert not requests_in(spool)


KILLED_AT_WRITE = """
import os
write = os.pwrite
left = {number}
def pwrite(*args):
    global left
    left -= 1
    if left < 0:
        die()
    return write(*args)
os.pwrite = pwrite
from rudder_logging.common import private_files
from rudder_logging.queues.file import erasing
write_all = private_files.write_all
def half(file, content):
    global left
    left -= 1
    if left < 0:
        write_all(file, content[:len(content) // 2])
        die()
    write_all(file, content)
private_files.write_all = erasing.write_all = half
"""


def test_a_kill_amid_the_erasure(
    app: StartApp, spool: Path, away: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """At any write: nothing else is lost or doubled, and the next one completes it."""
    kills = 0
    while True:
        directory = spool / str(kills)
        one = App(away, directory)
        one.does("log('a', 'b', 'a', 'c', 'a')")
        one.does(f"exec({KILLED_AT_WRITE.format(number=kills)!r})")
        one.begins("handler.suppress('a')")
        assert one.process.stdout is not None
        if one.process.stdout.readline() == "done\n":
            one.kill()
            break
        assert one.process.wait(PATIENCE) == -signal.SIGKILL
        one.kill()
        away.heal()
        away.clear()
        if kills:  # else it was killed before it had asked for it
            assert arrived(make_handler, away, directory) == {"b": 1, "c": 1}, kills
            assert '"a"' not in texts(directory)
        away.fail(503, times=None)
        kills += 1
    assert kills > 6


def test_two_processes_suppress_at_once(
    app: StartApp, spool: Path, away: LocalDataPlane, make_handler: MakeHandler
) -> None:
    """Each asks the other; both requests are carried out by both."""
    ids = [f"{letter}{number}" for number in range(20) for letter in "abc"]
    both = app(*ids), app(*ids)
    for letter, one in zip("ab", both, strict=True):
        one.begins(f"for n in range(20): handler.suppress(f'{letter}{{n}}')")
    for one in both:
        assert one.process.stdout is not None
        assert one.process.stdout.readline() == "done\n"
        one.does("until(lambda: dropped() == 40)")
        one.does("assert handler.stats().balanced and handler.stats().pending == 20")
    until(lambda: not requests_in(spool))
    for one in both:
        one.kill()
    away.clear()
    assert arrived(make_handler, away, spool) == {f"c{number}": 2 for number in range(20)}


FORK = """
child = os.fork()
if not child:
    log('a', 'b', 'c')
    print("done", flush=True)
    until(lambda: dropped() == 2)
    assert handler.stats().balanced and handler.stats().pending == 1
    os._exit(0)
"""


def test_a_forked_child(app: StartApp, handler: RudderHandler, spool: Path) -> None:
    """It keeps back whom the parent has suppressed, and erases of its own whom others have."""
    parent = app("a", "b", "c", PYTHONWARNINGS="ignore")
    parent.does("handler.suppress('a')")
    parent.does(f"exec({FORK!r})")
    assert parent.process.stdout is not None
    assert parent.process.stdout.readline() == "done\n"  # from either of them
    assert pending(spool) == {"b": 2, "c": 2}
    handler.suppress("b")
    parent.does("assert os.waitpid(child, 0)[1] == 0")
    parent.does("until(lambda: dropped() == 2)")
    assert pending(spool) == {"c": 2}


def test_a_full_disk_is_no_hindrance(handler: RudderHandler, spool: Path) -> None:
    """What is erased needs no room; only others are told later."""
    log(handler, "a", "b")
    with no_file_is_made(errno.ENOSPC):
        assert handler.suppress("a") == 1
    assert pending(spool) == {"b": 1}


@contextlib.contextmanager
def no_file_is_made(code: int) -> Iterator[None]:
    """Have no request be noted, by a fault of the disk."""

    def fails(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erasing.Erasures, "_ask", fails)
        yield


def test_others_are_told_once_the_disk_lets_us(
    app: StartApp, handler: RudderHandler, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again until then, and that is said once."""
    other = app("a", "b")
    log(handler, "a", "c")
    with no_file_is_made(errno.EROFS):
        handler.suppress("a")
        queue: Any = handler._pipeline.queue
        for _ in range(2):  # it looks once a second
            looked_at = queue._heed_at
            until(lambda before=looked_at: queue._heed_at != before)  # type: ignore[misc]
    (line,) = (one for record in caplog.records if "erased" in (one := record.getMessage()))
    assert line == (
        "events of people who are suppressed can't be erased from the queue's directory: "
        "Read-only file system; mount it for writing. None of theirs is sent from here; it is "
        "tried again"
    )
    other.does("until(lambda: dropped() == 1)")
    assert pending(spool) == {"b": 1, "c": 1}


def test_what_can_not_be_overwritten_does_not_leave(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the queue no more, and its bytes go as soon as the disk lets us."""
    queue, ledger = queue_of(spool)
    for number, one in enumerate("abab"):
        queue.put(message(number, userId=one))

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patch:
        patch.setattr("rudder_logging.queues.file.segments.blank", fails)
        assert len(queue.erase(["a"])) == 2
        assert texts(spool).count('"a"') == 2
        assert queue.depth().events == 2
    queue._heed_at = 0.0  # it looks once a second
    queue.look()
    assert '"a"' not in texts(spool)
    batch = queue.take(10_000)
    assert batch == [message(1, userId="b"), message(3, userId="b")]
    assert queue.settle(batch, 2) == 2
    assert queue.depth() == (0, 0, 0)
    assert ledger.dropped() == {"suppressed": 2}


Queues = Callable[[], tuple[FileQueue, Ledger]]


@pytest.fixture
def another(spool: Path) -> Iterator[Queues]:
    """Make queues of one source, which are in each other's eyes as those of other processes."""
    made: list[FileQueue] = []

    def make() -> tuple[FileQueue, Ledger]:
        queue, ledger = queue_of(spool)
        made.append(queue)
        return queue, ledger

    yield make
    for queue in made:
        queue.after_fork()


def put(queue: FileQueue, ledger: Ledger, *ids: str, text: str = "") -> list[bytes]:
    """Accept a message of each."""
    messages = [message(number, userId=one, text=text) for number, one in enumerate(ids)]
    for one in messages:
        ledger._accepted.one()
        queue.put(one)
    return messages


def looks_now(queue: FileQueue) -> None:
    """Its next look is due: it looks once a second."""
    queue._look_at = queue._heed_at = 0.0


def test_what_is_taken_over_at_a_take_leaves_erased(another: Queues) -> None:
    """The look of that take was before."""
    (living, ledger), (ended, its), (other, _) = another(), another(), another()
    put(ended, its, "a", "b")
    other.erase(["a"])  # which the one that ends never learns of
    for queue in (ended, other):
        queue.after_fork()
    looks_now(living)
    batch = living.take(10_000)
    assert batch is not None
    assert [json.loads(one + b"}")["userId"] for one in batch] == ["b"]
    assert living.settle(batch, 1) == 1
    assert ledger.dropped() == {"suppressed": 1}
    assert ledger.snapshot(living).adopted == 2
    assert living.depth() == (0, 0, 0)


@pytest.mark.parametrize("by", ["suppress", "forget"])
def test_an_earlier_request_is_not_forgotten_by_a_later_one(
    another: Queues, spool: Path, by: str
) -> None:
    """A process ended before it had carried out the first: it is carried out with the second."""
    (living, _), (ended, its) = another(), another()
    put(ended, its, "a", "b", "c")
    living.erase(["a"])
    assert pending(spool) == {"a": 1, "b": 1, "c": 1}
    ended.after_fork()
    if by == "suppress":
        assert len(living.erase(["b"])) == 2
    else:
        assert main(["forget", "b", "--spool", str(spool), "--yes"]) == ExitCode.OK
    assert pending(spool) == {"c": 1}


def fails_to_blank(patch: pytest.MonkeyPatch) -> None:
    """The disk takes no change of what is there."""

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    patch.setattr("rudder_logging.queues.file.segments.blank", fails)


def test_what_is_still_on_the_disk_is_not_handed_out(
    another: Queues, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of what was read by then, nor of what was not; and it is counted once."""
    queue, ledger = another()
    messages = put(queue, ledger, *"abab")
    first = queue.take(len(messages[0]))
    assert first == messages[:1]
    messages += put(queue, ledger, *"ab")
    with monkeypatch.context() as patch:
        fails_to_blank(patch)
        queue.erase(["a"])
        assert texts(spool).count('"a"') == 3
        assert ledger.snapshot(queue).balanced
        assert queue.settle(first, 1) == 1  # by the sender, as suppressed
        batch = queue.take(10_000)
        assert batch == [messages[1], messages[3], messages[5]]
        assert queue.settle(batch, 3) == 3
    assert ledger.dropped() == {"suppressed": 2}
    assert queue.depth() == (0, 0, 0)
    assert queue.wait_until_settled(6, 0)


@pytest.mark.parametrize("lets_us", [True, False])
def test_an_eviction_does_not_count_it_again(
    spool: Path, monkeypatch: pytest.MonkeyPatch, lets_us: bool
) -> None:
    """Be its segment read or not, and be its bytes gone or not."""
    queue, ledger = queue_of(spool, "max_bytes=16000")
    messages = put(queue, ledger, *["a", "b"] * 60, text="x" * 80)
    if not lets_us:
        fails_to_blank(monkeypatch)
    queue.erase(["a"])
    evicted = ledger.evict(queue, 6_000, "queue_full")
    assert evicted == messages[1 : 2 * len(evicted) : 2]  # type: ignore[arg-type]
    stats = ledger.snapshot(queue)
    assert stats.balanced
    assert stats.dropped == {"suppressed": 60, "queue_full": len(evicted or ())}
    left: list[bytes] = []
    while batch := queue.take(100_000):
        left += batch
        ledger.settle_delivered(queue, batch, len(batch))
    assert left == messages[1 + 2 * len(evicted or ()) :: 2]
    assert ledger.snapshot(queue).balanced
    assert queue.wait_until_settled(120, 0)
    queue.after_fork()


@pytest.mark.parametrize("evicts", [True, False])
def test_what_was_erased_is_not_lost_with_its_file(spool: Path, evicts: bool) -> None:
    """Somebody removes it: all others in it are lost, and counted as such."""
    queue, ledger = queue_of(spool, "max_bytes=16000")
    put(queue, ledger, *["a", "b"] * 60, text="x" * 80)
    queue.erase(["a"])
    first = min(spool.glob("*/*.jsonl"))
    others = first.read_text().count('"b"')
    first.unlink()
    if evicts:
        while not queue.evict(6_000):
            pass
    else:
        batch = queue.take(100_000)
        assert batch is not None
        assert len(batch) == 60 - others
    assert ledger.dropped() == {"suppressed": 60, "spool_lost": others}
    assert queue.depth().events == 60 - others - queue.evicted
    queue.after_fork()


def test_what_was_handed_out_and_comes_back_is_kept_back_until_it_is_settled(
    another: Queues,
) -> None:
    """An upload that was too large comes back in smaller ones."""
    (queue, ledger), (other, _) = another(), another()
    messages = put(queue, ledger, *"aba")
    assert queue.take(10_000) == messages
    other.erase(["a"])
    looks_now(queue)
    queue.look()
    batch = queue.take(1)
    assert batch == messages[:1]
    suppresses = queue.suppresses
    assert suppresses is not None
    assert suppresses(messages[0])
    assert queue.settle(batch, 1) == 1
    suppresses = queue.suppresses
    assert suppresses is not None
    assert [suppresses(one) for one in messages[1:]] == [False, True]
    rest = queue.take(10_000)
    assert rest == messages[1:]
    assert queue.settle(rest, 2) == 2
    assert queue.suppresses is None


def test_what_is_handed_out_and_on_no_disk_is_kept_back(
    another: Queues, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits in memory, as the disk fails; another process asks."""
    (queue, ledger), (other, _) = another(), another()
    put(queue, ledger, "c")

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(queue._store._spool, "append", fails)
    queue._lane.room = -1
    messages = put(queue, ledger, *"aba")
    batch = queue.take(10_000)
    assert batch is not None
    assert batch[1:] == messages
    other.erase(["a"])
    looks_now(queue)
    queue.look()
    suppresses = queue.suppresses
    assert suppresses is not None
    assert [suppresses(one) for one in messages] == [True, False, True]


def test_a_request_is_noted_once(
    another: Queues, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is tried: else others would erase what is logged later, again and again."""
    queue, ledger = another()
    put(queue, ledger, "a", "b")
    with monkeypatch.context() as patch:
        fails_to_blank(patch)
        queue.erase(["a"])
        (requests,) = requests_in(spool)
        noted = requests.read_text()
        for _ in range(3):
            looks_now(queue)
            queue.look()
        assert requests.read_text() == noted
    looks_now(queue)
    queue.look()
    assert not requests_in(spool)
    assert pending(spool) == {"b": 1}
