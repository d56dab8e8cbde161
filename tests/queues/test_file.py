"""The durable queue: what outlives a process, and what a disk may do to it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery.ledger import Ledger
from rudder_logging.delivery.reports import Reports
from rudder_logging.exceptions import ConfigError, QueueFullError
from rudder_logging.queues import Batch, file, open_queue
from rudder_logging.queues.file import FileQueue, backlog
from rudder_logging.queues.file.spool import Spool
from rudder_logging.queues.file.store import Store

from ..conftest import WRITE_KEY, MakeHandler, heal_for_the_living
from . import settle, take

PRELUDE = """
import logging, os, signal, sys, threading, time
from rudder_logging import RudderHandler
handler = RudderHandler(shutdown_timeout=float(os.environ.get("PATIENCE", "10")))
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
def log(*numbers):
    for number in numbers:
        logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": number}}})
def die():
    os.kill(os.getpid(), signal.SIGKILL)
"""


def start(
    plane: LocalDataPlane, spool: Path, script: str, *, prelude: str = PRELUDE, **env: str
) -> subprocess.Popen[str]:
    """Start a script that has `log` and a durable queue, in a process of its own."""
    environment = {
        **os.environ,
        "RUDDER_WRITE_KEY": WRITE_KEY,
        "RUDDER_DATA_PLANE_URL": plane.url,
        "RUDDER_QUEUE": f"file://{spool}",
        **env,
    }
    return subprocess.Popen(
        [sys.executable, "-X", "dev", "-W", "error", "-c", prelude + textwrap.dedent(script)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(plane: LocalDataPlane, spool: Path, script: str, **env: str) -> tuple[int, str, str]:
    """Run such a script to its end; returns the code, stdout and stderr."""
    process = start(plane, spool, script, **env)
    out, err = process.communicate(timeout=50)
    return process.returncode, out, err


def numbers(plane: LocalDataPlane) -> list[int]:
    """The numbers of the events that arrived."""
    return [event["properties"]["n"] for event in plane.events]


def segments(spool: Path) -> list[Path]:
    """The files that hold events."""
    return sorted(spool.rglob("*.jsonl"))


def lines(spool: Path) -> list[dict[str, Any]]:
    """The events in them."""
    return [json.loads(line) for path in segments(spool) for line in path.read_bytes().splitlines()]


def leave(away: LocalDataPlane, spool: Path, *count: int) -> None:
    """Have processes log so many events each, and be killed; the server does not take any."""
    first = 0
    for number in count:
        code, _out, err = run(away, spool, f"log(*range({first}, {first + number}))\ndie()")
        assert (code, err) == (-signal.SIGKILL, "")
        first += number
    heal_for_the_living(away)
    away.clear()


@pytest.mark.slow
def test_a_killed_process_loses_nothing(away: LocalDataPlane, spool: Path) -> None:
    """What a call returned from is delivered by the next process, once and in order."""
    leave(away, spool, 100)
    ids = [event["messageId"] for event in lines(spool)]
    assert run(away, spool, "log(100, 101)") == (0, "", "")
    assert numbers(away) == list(range(102))
    assert [event["messageId"] for event in away.events][:100] == ids
    assert [path for path in spool.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_a_line_is_the_message_as_it_will_be_sent(away: LocalDataPlane, spool: Path) -> None:
    """`cat` and `jq` read the spool; only `sentAt` comes at the attempt."""
    leave(away, spool, 3)
    stored = lines(spool)
    run(away, spool, "")
    arrived = [dict(event) for event in away.events]
    for event in arrived:
        del event["sentAt"]
    assert [{**event, **stored[i]} for i, event in enumerate(arrived)] == arrived
    assert all(stored)


def test_only_the_owner_can_read_it_and_names_give_nothing_away(
    away: LocalDataPlane, spool: Path
) -> None:
    """Directories are 0700, files 0600; neither write key nor data plane stand in a name."""
    leave(away, spool, 1)
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in [spool, *spool.rglob("*")]}
    assert modes == {True: 0o700, False: 0o600}
    names = " ".join(str(path.relative_to(spool)) for path in spool.rglob("*"))
    assert WRITE_KEY not in names
    assert "127.0.0.1" not in names


@pytest.mark.slow
def test_a_handler_delivers_what_was_left_before_its_first_event(
    away: LocalDataPlane, spool: Path, make_handler: MakeHandler
) -> None:
    """An app that is started again delivers at once; the ledger says what it took over."""
    leave(away, spool, 5, 5)
    handler = make_handler(data_plane_url=away.url, queue=f"file://{spool}")
    assert sorted(event["properties"]["n"] for event in away.wait_for(10)) == list(range(10))
    assert handler.flush(10)
    stats = handler.stats()
    assert (stats.accepted, stats.adopted, stats.delivered) == (10, 10, 10)
    assert stats.balanced


@pytest.mark.slow
def test_what_was_delivered_is_not_sent_again(plane: LocalDataPlane, spool: Path) -> None:
    """Progress is kept beside the segment: a kill right after an answer makes no duplicate."""
    script = "log(*range(10))\nassert handler.flush()\nlog(*range(10, 12))\ndie()"
    run(plane, spool, script, RUDDER_UPLOAD_INTERVAL="60")
    assert numbers(plane)[:10] == list(range(10))
    run(plane, spool, "")
    assert numbers(plane) == list(range(12))


def test_progress_within_a_segment(spool: Path) -> None:
    """Of a segment that is delivered in part, the rest is delivered."""
    queue, _ledger = queue_of(spool)
    for number in range(10):
        queue.put(message(number))
    settle(queue, len(take(queue, 3 * len(message(0)))))
    queue.after_fork()  # its locks are gone, as if it had been killed
    queue.recover()
    assert take(queue, 100_000) == [message(number) for number in range(3, 10)]
    queue.after_fork()


@pytest.mark.slow
def test_an_exit_with_the_server_away_leaves_events_to_the_next_process(
    away: LocalDataPlane, spool: Path
) -> None:
    """They are not dropped, so nothing is told; the exit is as bounded as ever."""
    assert run(away, spool, "log(*range(5))", PATIENCE="0.3") == (0, "", "")
    heal_for_the_living(away)
    assert run(away, spool, "log(5)") == (0, "", "")
    assert numbers(away) == list(range(6))


@pytest.mark.slow
def test_segments_are_taken_over_once(away: LocalDataPlane, spool: Path) -> None:
    """Several processes that start at the same time share the work, not the events."""
    leave(away, spool, 50, 50, 50, 50)
    crowd = [start(away, spool, f"log({1_000 + n})") for n in range(4)]
    for process in crowd:
        assert process.communicate(timeout=50) == ("", "")
    assert sorted(numbers(away)) == [*range(200), *range(1_000, 1_004)]


@pytest.mark.slow
def test_a_living_process_keeps_its_own(away: LocalDataPlane, spool: Path) -> None:
    """Another process of the same source takes nothing from one that runs."""
    script = """
        log(*range(5))
        print("ready", flush=True)
        sys.stdin.read()
        """
    living = start(away, spool, script)
    assert living.stdout is not None
    living.stdout.readline()
    assert run(away, spool, "log(10)", PATIENCE="0.2")[0] == 0
    assert len(lines(spool)) == 6
    living.kill()
    living.communicate()
    heal_for_the_living(away)
    run(away, spool, "")
    assert sorted(numbers(away)) == [0, 1, 2, 3, 4, 10]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_has_segments_of_its_own(away: LocalDataPlane, spool: Path) -> None:
    """The parent's backlog stays the parent's, even if the child outlives it."""
    script = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        log(*range(5))
        read, write = os.pipe()
        if os.fork() == 0:
            os.close(write)
            os.read(read, 1)  # until the parent is dead
            log(*range(10, 15))
            print(handler.stats().accepted, flush=True)
            die()
        die()
        """
    process = start(away, spool, script)
    assert process.communicate(timeout=50) == ("5\n", "")
    assert len({path.name.split(".")[0] for path in segments(spool)}) == 2
    heal_for_the_living(away)
    away.clear()
    run(away, spool, "")
    assert sorted(numbers(away)) == [*range(5), *range(10, 15)]


@pytest.mark.slow
def test_a_forked_child_lets_go_of_a_forgotten_handlers_segments(
    away: LocalDataPlane, spool: Path
) -> None:
    """Such a handler's events are still being delivered; a child that lives on keeps no lock."""
    script = """
        import gc, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        log(*range(5))
        logger.removeHandler(handler)
        del handler
        gc.collect()
        child = os.fork()
        if child == 0:
            os.close(1)
            os.close(2)
            signal.pause()
        print(child, flush=True)
        die()
        """
    _code, child, said = run(away, spool, script)
    try:
        assert said == ""
        heal_for_the_living(away)
        run(away, spool, "")
        assert numbers(away) == [*range(5)]
    finally:
        os.kill(int(child), signal.SIGKILL)


@pytest.mark.slow
def test_a_forked_childs_exit_delivers_its_own(plane: LocalDataPlane, spool: Path) -> None:
    """Nothing of the parent's is sent twice, whoever ends first."""
    script = """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        log(*range(5))
        child = os.fork()
        if child == 0:
            log(*range(10, 15))
            sys.exit(0)
        os.waitpid(child, 0)
        log(*range(5, 8))
        """
    assert run(plane, spool, script, RUDDER_UPLOAD_INTERVAL="60") == (0, "", "")
    assert sorted(numbers(plane)) == [*range(8), *range(10, 15)]


@pytest.mark.slow
def test_torn_and_damaged_lines(
    away: LocalDataPlane, spool: Path, make_handler: MakeHandler, tmp_path: Path
) -> None:
    """A torn last line is counted; a damaged one goes to the dead letters; the rest arrives."""
    leave(away, spool, 5)
    (segment,) = segments(spool)
    stored = segment.read_bytes().splitlines(keepends=True)
    stored[1] = b"\x00\xff" + stored[1][2:]
    stored[3] = stored[3].replace(b"\n", b"")[:-5] + b"\n"
    segment.write_bytes(b"".join(stored) + stored[0][:40])
    dropped: list[tuple[dict[str, Any], str]] = []
    letters = tmp_path / "letters.jsonl"
    handler = make_handler(
        data_plane_url=away.url,
        queue=f"file://{spool}",
        dead_letter=str(letters),
        on_drop=lambda event, reason: dropped.append((event, reason)),
    )
    assert handler.flush(10)
    assert numbers(away) == [0, 2, 4]
    stats = handler.stats()
    assert stats.dropped == {"spool_damaged": 2, "spool_torn": 1}
    assert (stats.adopted, stats.delivered, stats.balanced) == (6, 3, True)
    assert dropped == [({}, "spool_damaged")] * 2 + [({}, "spool_torn")]
    buried = [json.loads(line) for line in letters.read_text().splitlines()]
    assert [(letter["status"], letter["reason"]) for letter in buried] == [(0, "spool_damaged")] * 2
    assert "messageId" in buried[0]["message"]
    assert segments(spool) == []


@pytest.mark.slow
def test_a_line_without_end_that_is_whole_is_delivered(away: LocalDataPlane, spool: Path) -> None:
    """Killed between the last byte and the line's end: it is an event."""
    leave(away, spool, 2)
    (segment,) = segments(spool)
    segment.write_bytes(segment.read_bytes()[:-1])
    run(away, spool, "")
    assert numbers(away) == [0, 1]


@pytest.mark.slow
def test_sources_do_not_mix(away: LocalDataPlane, spool: Path) -> None:
    """Handlers for other write keys or data planes may share the directory."""
    leave(away, spool, 3)
    with LocalDataPlane("other key") as other:
        run(other, spool, "log(7)", RUDDER_WRITE_KEY="other key")
        assert numbers(other) == [7]
    assert len(lines(spool)) == 3
    run(away, spool, "")
    assert numbers(away) == [0, 1, 2]


def queue_of(spool: Path, query: str = "", **bounds: int) -> tuple[FileQueue, Ledger]:
    """A durable queue, and the ledger in which it counts."""
    bounds = {"max_events": 1_000, "max_bytes": 1_000_000, **bounds}
    queue = open_queue(f"file://{spool}?{query}", source="s", **bounds)
    assert isinstance(queue, FileQueue)
    ledger = Ledger()
    queue.attach(Reports(ledger))
    queue.recover()
    return queue, ledger


def message(number: int, **more: Any) -> bytes:
    """A queued message, which lacks its closing brace."""
    return json.dumps({"n": number, **more}).encode()[:-1]


@pytest.mark.parametrize("mode", [0o777, 0o2770, 0o702])
def test_directories_that_others_can_write_to_are_mended_and_that_is_told_once(
    spool: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    """A volume of Kubernetes has such modes at each start (`fsGroup`): the app has to start."""
    queue, _ledger = queue_of(spool)
    queue.put(message(1))
    queue.after_fork()
    (own,) = spool.iterdir()
    (segment,) = segments(spool)
    for path in (spool, own):
        path.chmod(mode)
    segment.chmod(0o660)
    queue, _ledger = queue_of(spool)
    assert take(queue, 1_000) == [message(1)]
    queue.put(message(2))
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [spool, *spool.rglob("*")]}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"{spool} (mode {mode:o}), {own} (mode {mode:o})" in record.getMessage()


def test_what_is_only_read_by_others_may_be_so(spool: Path) -> None:
    """A directory of the app's that others list is left as it is; its own below it is nobody's."""
    spool.mkdir()
    spool.chmod(0o755)
    queue_of(spool)
    (own,) = spool.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (spool, own)] == [0o755, 0o700]


@pytest.mark.parametrize("umask", [0, 0o022, 0o777])
def test_missing_directories_are_made_for_the_owner_only(spool: Path, umask: int) -> None:
    """Whatever the umask is: who can write to one of them could move the spool away."""
    before = os.umask(umask)
    try:
        queue, _ledger = queue_of(spool / "a" / "b")
        queue.put(message(1))
    finally:
        os.umask(before)
    found = [spool, *spool.rglob("*")]
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in found}
    assert modes == {(True, 0o700), (False, 0o600)}


def test_what_is_no_directory_is_refused(spool: Path) -> None:
    """The error names it."""
    spool.write_text("")
    with pytest.raises(ConfigError, match=f"no directory: {spool}"):
        queue_of(spool)
    with pytest.raises(ConfigError, match="no directory"):
        queue_of(spool / "below")


def test_a_source_directory_that_is_a_link_is_refused(spool: Path, tmp_path: Path) -> None:
    """It could lead to a place that others can write to."""
    queue_of(spool)
    (own,) = spool.iterdir()
    own.rmdir()
    own.symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="no directory"):
        queue_of(spool)


def test_delivered_segments_are_unlinked(spool: Path) -> None:
    """Segments are ended at a size, and leave the disk one by one."""
    queue, _ledger = queue_of(spool, "max_bytes=16000")
    for number in range(100):
        queue.put(message(number, text="x" * 100))
    many = len(segments(spool))
    assert many > 5
    settle(queue, len(take(queue, 6_000)))
    assert 1 < len(segments(spool)) < many
    while batch := take(queue, 6_000):
        settle(queue, len(batch))
    assert segments(spool) == []
    queue.put(message(1))
    assert take(queue, 100) == [message(1)]
    queue.after_fork()


def test_the_spool_stays_within_max_bytes(spool: Path) -> None:
    """All processes' files of a source together; then overflow decides, and acks make room."""
    first, _ = queue_of(spool, "max_bytes=20000")
    for number in range(100):
        first.put(message(number, text="x" * 80))
    second, _ = queue_of(spool, "max_bytes=20000")
    with contextlib.suppress(QueueFullError):
        for number in range(200):
            second.put(message(number, text="x" * 80))
    assert not second.wait_for_room(200, 0)
    assert sum(path.stat().st_size for path in segments(spool)) <= 20_000
    evicted = second.evict(100)
    assert evicted == [message(number, text="x" * 80) for number in range(len(evicted or ()))]
    assert evicted
    first.after_fork()
    second.after_fork()


def test_old_events_are_dropped_after_max_age(spool: Path) -> None:
    """By the time of the call; those that are being delivered are left to their answer."""
    now = datetime.now(timezone.utc)

    def stamped(number: int, age: float) -> bytes:
        moment = (now - timedelta(seconds=age)).isoformat(timespec="milliseconds")
        return message(number, originalTimestamp=moment.replace("+00:00", "Z"))

    queue, ledger = queue_of(spool, "max_age=3600")
    for number, age in enumerate([7_300, 3_700, 3_500, 0]):
        queue.put(stamped(number, age))
    assert take(queue, 100_000) == [stamped(2, 3_500), stamped(3, 0)]
    assert ledger.dropped() == {"expired": 2}
    assert settle(queue, 2) == 2
    assert queue.wait_until_settled(4, 0)


def on_disk(spool: Path) -> int:
    """Bytes of all segments."""
    return sum(path.stat().st_size for path in segments(spool))


def fill(queue: FileQueue, *numbers: int, make: Callable[[int], bytes]) -> None:
    """Put messages, for which old ones go if there is no room."""
    for number in numbers:
        assert queue.evict(len(make(number))) is not None
        queue.put(make(number))


def longer(number: int) -> bytes:
    """A message of 100 bytes and a few: some ten of them make a segment of the smallest spool."""
    return message(number, text="x" * 80)


def test_drop_old_behind_a_batch_in_flight_drops_few_and_the_oldest(
    spool: Path, make_handler: MakeHandler, plane: LocalDataPlane
) -> None:
    """As in any outage: room comes by one segment at a time, the rest stays, and so does order."""
    drops: list[int] = []
    handler = make_handler(
        queue=f"file://{spool}?max_bytes=64000",
        overflow="drop_old",
        upload_interval=0,
        on_drop=lambda event, _reason: drops.append(event["properties"]["n"]),
    )

    def log(number: int) -> None:
        handler.accept({"user_id": "u", "properties": {"n": number}}, "e", time.time())

    plane.fail(503, times=None)
    log(0)
    plane.wait_for_requests(1)
    most = 0
    for number in range(1, 1_000):
        before = len(drops)
        log(number)
        most = max(most, len(drops) - before)
        assert on_disk(spool) <= 64_000
    assert 0 < most <= 4_000 // 200
    stats = handler.stats()
    assert stats.balanced
    assert stats.pending > 150
    assert stats.dropped == {"queue_full": len(drops)}
    plane.heal()
    assert handler.flush(10)
    assert drops == sorted(drops)
    assert numbers(plane) == [n for n in range(1_000) if n not in set(drops)]
    assert numbers(plane)[-1] == 999


def test_what_was_evicted_does_not_come_back(spool: Path) -> None:
    """It is gone from the disk, too, though what stands before it is not settled."""
    queue, _ledger = queue_of(spool, "max_bytes=16000")
    queue.put(longer(0))
    take(queue, 100)
    fill(queue, *range(1, 400), make=longer)
    left = [event["n"] for event in lines(spool)]
    queue.after_fork()  # its locks are gone, as if it had been killed
    queue.recover()
    assert take(queue, 100_000) == [longer(number) for number in left]
    assert left[-1] == 399
    assert 100 < len(left) < 160
    queue.after_fork()


def test_an_event_that_can_never_fit_evicts_none(
    spool: Path, make_handler: MakeHandler, plane: LocalDataPlane
) -> None:
    """It is dropped itself, and only it."""
    handler = make_handler(
        queue=f"file://{spool}?max_bytes=20000", overflow="drop_old", upload_interval=60
    )
    for size in (*[1] * 30, 25_000):
        handler.accept({"user_id": "u", "properties": {"n": "x" * size}}, "e", time.time())
    assert handler.stats().dropped == {"queue_full": 1}
    assert handler.flush()
    assert len(plane.events) == 30


def test_what_others_have_left_is_evicted_first(spool: Path) -> None:
    """It is older, and counted as taken over; damaged lines among it are what they are."""
    dead, _ = queue_of(spool, "max_bytes=16000")
    fill(dead, *range(70), make=longer)
    dead.after_fork()  # its locks are gone, as if it had been killed
    (first, *_) = segments(spool)
    first.write_bytes(b"#" + first.read_bytes()[1:])
    queue, ledger = queue_of(spool, "max_bytes=16000")
    accepted = 0
    while not ledger.dropped().get("queue_full"):
        ledger.count_accepted()
        accepted += 1
        try:
            queue.put(longer(1_000))
        except QueueFullError:
            assert ledger.evict(queue, len(longer(1_000)), "queue_full")
            queue.put(longer(1_000))
    gone = ledger.dropped()
    assert gone["spool_damaged"] == 1
    assert 5 < gone["queue_full"] < 10
    assert ledger.snapshot(queue).balanced
    rest = 0
    while batch := take(queue, 100_000):
        rest += ledger.settle_delivered(queue, Batch(), len(batch))
    stats = ledger.snapshot(queue)
    assert rest == 70 + accepted - sum(gone.values())
    assert (stats.adopted, stats.balanced, stats.pending) == (70, True, 0)
    assert segments(spool) == []


def test_where_no_file_can_be_removed_none_is_dropped(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would make no room: the new event is dropped, and not the whole backlog."""
    queue, _ledger = queue_of(spool, "max_bytes=16000")
    with contextlib.suppress(QueueFullError):
        for number in range(1_000):
            queue.put(longer(number))
    pending = queue.depth()[:2]

    def refuse(*_args: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        assert queue.evict(100) is None
    assert queue.depth()[:2] == pending
    assert queue.evict(100)
    assert len(take(queue, 100_000)) == queue.depth().events
    queue.after_fork()


def test_what_is_handed_out_goes_from_memory_to_the_disk_and_is_not_evicted(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is being delivered, the disk is well again, and full."""
    queue, _ledger = queue_of(spool, "max_bytes=16000")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_args: os.ftruncate(-1, 0))
        for number in range(20):
            queue.put(longer(number))
    batch = take(queue, 5 * len(longer(0)))
    queue._look_at = 0.0  # as if a second had passed
    fill(queue, *range(20, 400), make=longer)
    assert on_disk(spool) > 14_000
    assert [event["n"] for event in lines(spool)][:5] == [0, 1, 2, 3, 4]
    assert settle(queue, len(batch)) == 5
    rest = take(queue, 100_000)
    assert rest == [longer(json.loads(item + b"}")["n"]) for item in rest]
    assert rest[-1] == longer(399)
    assert settle(queue, len(rest)) == len(rest)
    assert queue.depth()[:2] == (0, 0)
    assert queue.wait_until_settled(400, 0)


def test_what_comes_after_an_eviction_of_the_newest_file_is_delivered(spool: Path) -> None:
    """Even if that had been read already, behind what is handed out."""
    queue, _ledger = queue_of(spool, "max_bytes=16000")
    fill(queue, *range(12), make=longer)
    first, _last = segments(spool)
    batch = take(queue, first.stat().st_size)  # and the next one, which does not fit, is read
    assert 5 < len(batch) < 12
    evicted = queue.evict(16_000 - first.stat().st_size - 2)
    assert evicted
    assert segments(spool) == [first]
    fill(queue, *range(12, 15), make=longer)
    kept = [*range(12 - len(evicted)), *range(12, 15)]
    assert take(queue, 100_000) == [longer(number) for number in kept]
    settle(queue, len(kept))
    assert segments(spool) == []
    assert queue.wait_until_settled(15, 0)


def test_evicted_files_that_somebody_removed_are_counted_as_lost(spool: Path) -> None:
    """They are no evictions."""
    queue, ledger = queue_of(spool, "max_bytes=16000")
    fill(queue, *range(100), make=longer)
    ledger._accepted.add(100)
    segments(spool)[0].unlink()
    while not (evicted := ledger.evict(queue, 8_000, "queue_full")):
        pass
    dropped = ledger.dropped()
    assert dropped["queue_full"] == len(evicted)
    assert 5 < dropped["spool_lost"] < 15
    assert evicted[0] == longer(dropped["spool_lost"])
    assert ledger.snapshot(queue).balanced
    queue.after_fork()


def stamped(number: int, age: float = 0) -> bytes:
    """A message that was logged so many seconds ago."""
    moment = datetime.now(timezone.utc) - timedelta(seconds=age)
    stamp = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return message(number, originalTimestamp=stamp, text="x" * 80)


def test_what_expires_behind_a_batch_in_flight_makes_room(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In an outage that outlasts `max_age`, fresh events are stored, on a disk that does not fill
    up, and memory does not grow.
    """
    queue, ledger = queue_of(spool, "max_bytes=16000&max_age=60")
    queue.put(stamped(0))
    batch = take(queue, 100)
    for number in range(1, 1_001):
        later = number // 25 * 100
        age(monkeypatch, later)
        queue.put(stamped(number, -later))  # which raises if there is no room
        assert on_disk(spool) <= 16_000
    assert len(list(queue._backlog._window)) < 200
    assert take(queue, 100_000)[0] == batch[0]
    assert settle(queue, 1) == 1
    while left := take(queue, 100_000):
        settle(queue, len(left))
    assert ledger.dropped() == {"expired": 999}
    assert queue.depth()[:2] == (0, 0)
    assert queue.wait_until_settled(1_001, 0)


def test_a_start_over_a_backlog_that_is_too_old_is_immediate(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is dropped, and told, bit by bit: most of it by the thread that delivers."""
    dead, _ = queue_of(spool)
    for number in range(5_000):
        dead.put(stamped(number, 100))
    dead.after_fork()  # its locks are gone, as if it had been killed
    told: list[int] = []
    tell = Reports.tell_dropped

    def count(reports: Reports, messages: list[bytes], reason: str) -> None:
        told.append(len(messages))
        tell(reports, messages, reason)

    monkeypatch.setattr(Reports, "tell_dropped", count)
    queue, ledger = queue_of(spool, "max_age=60")
    assert 0 < ledger.dropped()["expired"] < 1_000
    before = ledger.dropped()["expired"]
    queue.put(stamped(5_000))
    assert 0 < ledger.dropped()["expired"] - before < 1_000
    (item,) = take(queue, 100_000)
    assert item.startswith(b'{"n": 5000,')
    assert ledger.dropped() == {"expired": 5_000}
    assert sum(told) == 5_000
    assert max(told) < 1_000
    assert settle(queue, 1) == 1
    assert segments(spool) == []


def test_what_is_too_old_is_not_handed_out_when_there_is_very_much_of_it(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then `get` ends without it; what was handed out before comes again."""
    monkeypatch.setattr(file, "_LONGEST_SEARCH", 0)
    queue, ledger = queue_of(spool, "max_age=60")
    queue.put(stamped(0))
    batch = take(queue, 100_000)
    for number in range(1, 3_000):
        queue.put(stamped(number))
    age(monkeypatch, 100)
    for _ in range(3):
        assert take(queue, 100_000) == batch
        assert ledger.dropped()["expired"] < 2_999
    assert settle(queue, 1) == 1
    while queue.depth().events:
        assert take(queue, 100_000) == []
    assert ledger.dropped() == {"expired": 2_999}


def age(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """What was logged until now becomes so much older."""
    now = time.time()
    monkeypatch.setattr(backlog, "time", lambda: now + seconds)


def test_what_is_being_delivered_does_not_expire_meanwhile(
    spool: Path, monkeypatch: pytest.MonkeyPatch, make_handler: MakeHandler, plane: LocalDataPlane
) -> None:
    """Held events are compared with newer ones, for which delivery asks while they are under way:
    acknowledgements then concern those that were sent, and no others.
    """
    handler = make_handler(queue=f"file://{spool}?max_age=60", upload_interval=0)
    plane.fail(400, text="some proxy's words", times=None)

    def log(*numbers: int, later: float = 0) -> None:
        for number in numbers:
            event = {"user_id": "u", "properties": {"n": number}}
            handler.accept(event, "e", time.time() + later)

    log(0, 1, 2)
    queue = handler._pipeline.queue
    until(lambda: handler.stats().holding is not None and not queue.depth().waiting)
    age(monkeypatch, 3_600)
    log(3, 4, later=3_600)
    asked = handler.stats().requests
    handler.flush(0)
    until(lambda: handler.stats().requests > asked + 1)  # one more than the probe itself
    plane.heal()
    assert handler.flush()
    stats = handler.stats()
    assert sorted(numbers(plane)) == [0, 1, 2, 3, 4]
    assert (stats.delivered, stats.dropped, stats.pending) == (5, {}, 0)


def test_what_a_caller_could_not_deliver_does_expire(
    spool: Path, monkeypatch: pytest.MonkeyPatch, make_handler: MakeHandler, plane: LocalDataPlane
) -> None:
    """All but the one that is first in line, which has its next attempt."""
    handler = make_handler(
        queue=f"file://{spool}?max_age=60", sync_mode=True, timeout=0.05, shutdown_timeout=1
    )
    plane.fail(503, times=None)
    for number in range(3):
        handler.accept({"user_id": "u", "properties": {"n": number}}, "e", time.time())
    age(monkeypatch, 3_600)
    plane.heal()
    assert handler.flush()
    assert set(numbers(plane)) == {0}
    assert handler.stats().dropped == {"expired": 2}


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_disk_that_fails_sends_events_to_memory_and_back(
    spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is reported once and counted; when the disk is well, they are stored there, in order."""
    queue, ledger = queue_of(spool)
    queue.put(message(0))
    make_unusable(spool)
    caplog.clear()
    for number in range(1, 5):
        queue._look_at = 0.0  # as if a second had passed
        queue.put(message(number))
    take(queue, len(message(0)) * 2)
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert "the queue's directory fails" in line
    assert ledger.snapshot(queue).spool_errors >= 1
    spool.unlink()
    queue._look_at = 0.0
    queue.put(message(5))
    assert [event["n"] for event in lines(spool)] == [1, 2, 3, 4, 5]
    assert caplog.records[-1].getMessage().startswith("the queue's directory is well again")
    assert take(queue, 100_000) == [message(number) for number in range(6)]
    assert settle(queue, 6) == 6
    assert queue.depth()[:2] == (0, 0)
    assert segments(spool) == []


def make_unusable(spool: Path) -> None:
    """Remove the directory, and have something else stand in its place."""
    shutil.rmtree(spool)
    spool.write_text("")


def test_a_directory_that_was_removed_is_made_again(
    spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What was written last can still be read; what comes next is safe again."""
    queue, _ledger = queue_of(spool)
    queue.put(message(0))
    shutil.rmtree(spool)
    queue._look_at = 0.0  # as if a second had passed
    queue.put(message(1))
    assert "files were removed" in caplog.text
    assert [event["n"] for event in lines(spool)] == [1]
    assert take(queue, 100_000) == [message(0), message(1)]
    assert settle(queue, 2) == 2
    assert queue.wait_until_settled(queue.mark(), 0)


def test_segments_that_somebody_removed_are_counted_as_lost(spool: Path) -> None:
    """Nothing vanishes uncounted, and flush does not wait for it."""
    queue, ledger = queue_of(spool, "max_bytes=16000")
    for number in range(100):
        queue.put(message(number, text="x" * 100))
    ledger._accepted.add(100)
    for path in segments(spool)[:-1]:
        path.unlink()
    batch = take(queue, 100_000)
    assert 0 < len(batch) < 15
    ledger.settle_delivered(queue, Batch(), len(batch))
    assert ledger.dropped() == {"spool_lost": 100 - len(batch)}
    assert ledger.snapshot(queue).balanced
    assert queue.wait_until_settled(100, 0)


def test_a_segment_that_somebody_emptied_leaves_counts_right(spool: Path) -> None:
    """Of the events that are gone, their bytes are, too."""
    queue, ledger = queue_of(spool)
    for number in range(5):
        queue.put(message(number))
    take(queue, 2 * len(message(0)))
    segments(spool)[0].write_bytes(b"")
    for number in range(5, 8):
        queue.put(message(number))
    taken = 0
    while batch := take(queue, 100_000):
        taken += settle(queue, len(batch))
    assert taken + ledger.dropped()["spool_lost"] == 8
    assert queue.depth()[:2] == (0, 0)
    assert queue.wait_until_settled(8, 0)


FULL_DISK = """
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    log(0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # in the middle of a line
    log(*range(1, 10))
    assert handler.stats().spool_errors
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    handler._pipeline.queue._look_at = 0.0
    log(10)
    assert handler.stats().pending == 11
    die()
    """


@pytest.mark.slow
def test_a_full_disk_tears_no_line(away: LocalDataPlane, spool: Path) -> None:
    """A line of which only a part fits is taken back; nothing is lost or doubled."""
    code, _out, err = run(away, spool, FULL_DISK)
    assert code == -signal.SIGKILL, err
    assert err.count("the queue's directory fails: No space left on device") == 1
    assert [event["properties"]["n"] for event in lines(spool)] == list(range(11))
    heal_for_the_living(away)
    away.clear()
    run(away, spool, "")
    assert numbers(away) == list(range(11))


@pytest.mark.slow
def test_memory_and_start_do_not_grow_with_the_backlog(away: LocalDataPlane, spool: Path) -> None:
    """Of a long backlog, no more is read than one upload takes."""
    leave(away, spool, 1)
    (segment,) = segments(spool)
    line = segment.read_bytes()
    # 100 MiB in 25 segments, as one process would have left them.
    for number in range(1, 26):
        name = segment.name.replace("00000001.jsonl", f"{number:08d}.jsonl")
        (segment.parent / name).write_bytes(line * (4 * 1024 * 1024 // len(line)))
    away.fail(503, times=None)
    script = """
        import resource
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        log(1)
        handler.flush(0.2)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        print(handler.stats().accepted)
        die()
        """
    _code, out, err = run(away, spool, script)
    assert err == ""
    grown, accepted = map(int, out.split())
    assert grown < 50 * 1024  # KiB: a batch of 4 MB, its messages, its body; not 100 MiB
    assert accepted < 25_000


@pytest.mark.parametrize("mode", ["always", "interval", "never"])
def test_fsync_has_the_disk_keep_what_was_written(
    spool: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """`always` before the call ends, `interval` from another thread; else never."""
    synced: list[int] = []
    in_other_thread = threading.Event()

    def fsync(file: int) -> None:
        synced.append(os.fstat(file).st_size)
        if threading.current_thread() is not threading.main_thread():
            in_other_thread.set()

    monkeypatch.setattr(os, "fsync", fsync)
    queue, _ledger = queue_of(spool, f"fsync={mode}")
    queue.put(message(0))
    size = segments(spool)[0].stat().st_size
    assert (synced[-1:] == [size]) is (mode == "always")
    if mode == "interval":
        assert in_other_thread.wait(30)
        assert synced[-1] == size
    assert bool(synced) is (mode != "never")
    queue.after_fork()


def test_a_put_that_interrupts_any_other_work_is_kept(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler may log while its thread is anywhere inside the queue."""
    queue, _ledger = queue_of(spool)
    interrupted: list[str] = []

    def interrupt(name: str) -> None:
        original: Callable[..., Any] = getattr(queue._store, name)

        def wrapper(*args: Any) -> Any:
            if name not in interrupted:
                interrupted.append(name)
                queue.put(message(len(interrupted)))
                # And what would wait for the interrupted work must not.
                assert not queue.wait_until_settled(1, 5)
                assert take(queue, 100) == []
                assert queue.evict(100) is None
            return original(*args)

        monkeypatch.setattr(queue._store, name, wrapper)

    for name in ("append", "read", "settle", "look"):
        interrupt(name)
    queue._look_at = 0.0  # as if a second had passed
    queue.put(message(0))
    taken = []
    while batch := take(queue, 100_000):
        taken += batch
        settle(queue, len(batch))
    assert sorted(taken) == [message(number) for number in range(5)]
    assert interrupted[0] == "look"
    assert queue.depth()[:2] == (0, 0)


def interrupted(
    monkeypatch: pytest.MonkeyPatch, place: tuple[Any, str], error: type[BaseException], when: str
) -> None:
    """Raise what a signal handler does, once, before or after a call that concerns an event."""
    original: Callable[..., Any] = getattr(*place)
    name_or_line = re.compile(r".*\.jsonl$|b'{")

    def call(*args: Any, **options: Any) -> Any:
        if not any(name_or_line.match(str(arg)) for arg in args):
            return original(*args, **options)
        monkeypatch.setattr(*place, original)
        if when == "after":
            original(*args, **options)
        raise error

    monkeypatch.setattr(*place, call)


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError, OSError])
@pytest.mark.parametrize(
    ("place", "when", "kept"),
    [
        ((Store, "append"), "before", False),
        ((os, "open"), "after", False),
        ((os, "write"), "before", False),
        ((os, "write"), "after", True),
        ((Spool, "append"), "after", True),
        ((Store, "append"), "after", True),
    ],
)
def test_a_signal_handler_that_raises_inside_put_leaves_counts_right(
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_handler: MakeHandler,
    plane: LocalDataPlane,
    place: tuple[Any, str],
    when: str,
    kept: bool,
    error: type[BaseException],
) -> None:
    """As Ctrl-C does, or a time limit's, whose TimeoutError is no fault of the disk: the event is
    there once and counted, or it is told as dropped, and those that come later are as ever.
    """
    handler = make_handler(queue=f"file://{spool}", upload_interval=3_600)
    interrupted(monkeypatch, place, error, when)
    with pytest.raises(error):
        handler.accept({"properties": {"n": 0}, "user_id": "u"}, "e", time.time())
    for number in (1, 2):
        handler.accept({"properties": {"n": number}, "user_id": "u"}, "e", time.time())
    waiting = handler.stats()
    assert waiting.pending == 2 + kept
    assert waiting.dropped == ({} if kept else {"interrupted": 1})
    assert handler.flush(5)
    assert numbers(plane) == [0, 1, 2][not kept :]
    stats = handler.stats()
    assert (stats.delivered, stats.spool_errors) == (2 + kept, 0)
    assert (stats.pending, stats.pending_bytes) == (0, 0)
    assert segments(spool) == []


def test_most_events_take_the_short_way(spool: Path) -> None:
    """Where nothing but the write is to be done, `put` calls nothing else of ours: its calls would
    cost as much as the write itself.
    """
    queue, _ledger = queue_of(spool)
    first, second = message(0), message(1)
    queue.put(first)
    calls: list[str] = []
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: calls.append(f"{event} {frame.f_code.co_name}"))
    try:
        queue.put(second)
    finally:
        sys.setprofile(before)
    assert [call for call in calls if call.startswith("call ")] == ["call put"]
    queue.after_fork()


@pytest.mark.parametrize("error", [KeyboardInterrupt, TimeoutError, OSError])
@pytest.mark.parametrize(("when", "kept"), [("before", False), ("after", True)])
def test_a_signal_handler_that_raises_on_the_short_way_leaves_counts_right(
    spool: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    kept: bool,
    error: type[BaseException],
) -> None:
    """As above: the caller learns whether the event was kept, and bounds and order are as ever."""
    queue, _ledger = queue_of(spool, "max_bytes=1000")
    messages = [message(number) for number in range(4)]
    queue.put(messages[0])
    interrupted(monkeypatch, (os, "write"), error, when)
    with pytest.raises(error):
        queue.put(messages[1])
    assert queue.took(messages[1]) is kept
    assert queue.put(messages[2]) == 2 + kept
    queue.put(messages[3])
    left = [messages[0], *messages[1:][not kept :]]
    assert queue.depth()[:2] == (len(left), sum(map(len, left)))
    assert take(queue, 100_000) == left
    assert settle(queue, len(left)) == len(left)
    assert queue.depth()[:2] == (0, 0)
    assert queue.wait_until_settled(queue.mark(), 0)
    assert segments(spool) == []
    assert queue.wait_for_room(900, 0)


def test_a_put_that_interrupts_the_short_way_is_kept(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stored behind what it interrupted, and what would wait for that does not."""
    queue, _ledger = queue_of(spool)
    queue.put(message(0))
    write = os.write

    def interrupting(file: int, line: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        written = write(file, line)
        assert queue.put(message(2)) == 3
        assert not queue.wait_until_settled(1, 5)
        assert take(queue, 100) == []
        assert queue.evict(100) is None
        return written

    monkeypatch.setattr(os, "write", interrupting)
    queue.put(message(1))
    assert queue.put(message(3)) == 4
    assert take(queue, 100_000) == [message(number) for number in range(4)]
    assert settle(queue, 4) == 4
    assert queue.depth()[:2] == (0, 0)
    assert segments(spool) == []


def test_a_disk_that_fails_on_the_short_way_loses_and_doubles_nothing(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once only, it is not even told; the part of a line that was written is taken back."""
    queue, ledger = queue_of(spool)
    queue.put(message(0))
    write = os.write

    def torn(file: int, line: bytes) -> int:
        monkeypatch.setattr(os, "write", write)
        return write(file, line[:5])

    monkeypatch.setattr(os, "write", torn)
    assert queue.put(message(1)) == 2
    assert [event["n"] for event in lines(spool)] == [0, 1]
    assert ledger.snapshot(queue).spool_errors == 0
    assert take(queue, 100_000) == [message(0), message(1)]
    assert settle(queue, 2) == 2
    assert queue.depth()[:2] == (0, 0)
    assert segments(spool) == []


def test_a_put_that_was_set_aside_outlives_an_interruption(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept for the next one to store, and the queue is not busy for ever."""
    queue, _ledger = queue_of(spool)
    append = queue._store.append
    calls: list[bytes] = []

    def call(item: bytes) -> None:
        calls.append(item)
        if item == message(0):
            queue.put(message(1))
        elif item == message(1) and calls.count(item) == 1:
            raise KeyboardInterrupt
        append(item)

    monkeypatch.setattr(queue._store, "append", call)
    with pytest.raises(KeyboardInterrupt):
        queue.put(message(0))
    assert queue.depth()[:2] == (2, 2 * len(message(0)))
    queue.put(message(2))
    assert sorted(take(queue, 100_000)) == [message(number) for number in range(3)]
    assert settle(queue, 3) == 3
    assert queue.depth()[:2] == (0, 0)
    assert queue.wait_until_settled(3, 0)


def test_without_posix_locks_there_is_a_clear_error(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Python has no fcntl, the option says so."""
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(ConfigError, match="no POSIX file locks; use memory://"):
        RudderHandler("key", "http://127.0.0.1:9", queue=f"file://{spool}")


def test_what_was_taken_over_with_an_event_waits_with_it(spool: Path) -> None:
    """`put` answers how many wait: an idle listener is woken, though it is not just one."""
    queue, _ledger = queue_of(spool, "max_age=3600")
    dead, _ = queue_of(spool)
    dead.put(message(0))
    dead.after_fork()  # its locks are gone, as if it had been killed
    queue._look_at = 0.0  # as if a second had passed
    assert queue.put(message(1)) == queue.depth().waiting == 2
    queue.after_fork()


def test_a_lock_on_a_file_that_was_removed_is_worth_nothing(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may take a file that is just being made for a dead one's, and remove it."""
    flock = fcntl.flock

    def late(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        (made,) = spool.rglob("*.progress")
        made.unlink()
        flock(file, operation)

    queue, _ledger = queue_of(spool)
    monkeypatch.setattr(fcntl, "flock", late)
    queue.put(message(0))
    other, _ = queue_of(spool)
    assert take(other, 100) == []
    assert take(queue, 100) == [message(0)]
    queue.after_fork()
