"""`suppress()`: nothing of some people leaves from now on, and what is pending is dropped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import time
from typing import Any

import pytest

import rudder_logging
from rudder_logging import InvalidEventError, Privacy
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.queues import MemoryQueue

from ..conftest import WRITE_KEY, MakeHandler, Wire
from ..each import each
from ..faults.stage import wait_until


def users(plane: LocalDataPlane) -> list[str]:
    """Whose events arrived."""
    return [event["userId"] for event in plane.events]


def log(logger: Any, *ids: str) -> None:
    """An event of each."""
    for one in ids:
        logger.info("e", extra={"rudder": {"user_id": one, "properties": {"secret": "s"}}})


@each("options", [{}, {"privacy": Privacy()}, {"privacy": {"hash": ["ids"], "hmac_key": "k"}}])
def test_pending_events_are_erased_from_memory(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, options: dict[str, Any]
) -> None:
    """With whatever `privacy`, hashed ids included; and none is accepted from then on."""
    plane.clear()
    told: list[tuple[dict[str, Any], str]] = []
    handler = make_handler(
        upload_interval=3_600, on_drop=lambda *drop: told.append(drop), **options
    )
    logger = wire(handler)
    log(logger, "a", "b", "a", "c")
    assert handler.suppress("a") == 2
    assert handler.stats().pending == 2
    assert handler.stats().balanced
    log(logger, "a", "d")
    assert handler.flush()
    assert len(plane.events) == 3
    assert handler.stats().dropped == {"suppressed": 3}
    assert [reason for _, reason in told] == ["suppressed"] * 3
    assert all(message.keys() == {"messageId", "type", "event"} for message, _ in told)
    assert (users(plane) == ["b", "c", "d"]) is ("hash" not in str(options))


def test_what_is_tried_again_is_dropped_before_the_next_attempt(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """In order, and the others leave."""
    handler = make_handler(upload_interval=3_600)
    plane.fail(503, retry_after=3_600)  # until the flush
    logger = wire(handler)
    log(logger, "a", "b", "a", "a", "c", "a")
    handler.flush(0)
    wait_until(lambda: handler.stats().retries, "the first attempt to fail")
    assert handler.suppress("a") == 0
    assert handler.flush()
    assert users(plane) == ["b", "c"]
    assert handler.stats().dropped == {"suppressed": 4}


def test_a_spool_s_events_do_not_leave(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """And are gone from the disk with it."""
    spool = tmp_path / "spool"
    handler = make_handler(queue=f"file://{spool}", upload_interval=3_600)
    logger = wire(handler)
    log(logger, "a", "b", "a")
    handler.suppress("a")
    log(logger, "a", "c")
    assert handler.flush()
    assert users(plane) == ["b", "c"]
    assert handler.stats().dropped == {"suppressed": 3}
    handler.close()
    assert not any('"a"' in path.read_text() for path in spool.rglob("*") if path.is_file())


def test_a_buffer_of_the_app_s(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """It need not know of this."""
    queue = MemoryQueue(max_events=10, max_bytes=100_000)
    handler = make_handler(queue=queue, upload_interval=3_600)
    log(wire(handler), "a", "b")
    handler.suppress("a")
    assert handler.flush()
    assert users(plane) == ["b"]
    assert handler.stats().dropped == {"suppressed": 1}


def test_all_handlers_and_those_to_come(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """By the package's function; numbers are ids, too."""
    handler = make_handler(upload_interval=3_600)
    log(wire(handler), "7", "b")
    assert rudder_logging.suppress(7, "x") == 1
    other = make_handler()
    log(wire(other), "x", "c")
    assert handler.flush()
    assert other.flush()
    assert sorted(users(plane)) == ["b", "c"]
    assert other.stats().dropped == {"suppressed": 1}


EARLIER = """
import os, sys, time
from rudder_logging import RudderHandler
key, url, queue, privacy = sys.argv[1:]
handler = RudderHandler(key, url, queue=queue, privacy=privacy, upload_interval=3_600)
for one in ("a", "b", "c", "a"):
    handler.accept({"user_id": one}, "e", time.time())
os._exit(9)
"""


@each("options", [{}, {"hash": ["ids"], "hmac_key": "k"}])
def test_a_list_is_for_what_waits_too(
    make_handler: MakeHandler, plane: LocalDataPlane, tmp_path: Path, options: dict[str, Any]
) -> None:
    """Whoever is on it when an event's turn comes does not leave, from a later process neither."""
    plane.clear()
    file = tmp_path / "suppressed.txt"
    file.write_text("b\n")
    queue = f"file://{tmp_path / 'spool'}{len(options)}"
    privacy = {"suppressed": str(file), **options}
    words = [sys.executable, "-c", EARLIER, WRITE_KEY, plane.url, queue, json.dumps(privacy)]
    assert subprocess.run(words, check=False).returncode == 9
    handler = make_handler(queue=queue, privacy=privacy, upload_interval=3_600)
    file.write_text("a\nx\n")
    for one in ("d", "y"):
        handler.accept({"user_id": one}, "e", time())
    file.write_text("a\ny\n")
    assert handler.flush()
    assert handler.stats().balanced
    assert handler.stats().dropped == {"suppressed": 3}
    assert len(plane.events) == 2
    if not options:
        assert sorted(users(plane)) == ["c", "d"]


def test_a_list_that_can_t_be_read_is_the_one_of_before(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For what waits; one line says so. What is logged then does not leave."""
    file = tmp_path / "suppressed.txt"
    file.write_text("x\n")
    handler = make_handler(privacy={"suppressed": str(file)}, upload_interval=3_600)
    logger = wire(handler)
    log(logger, "a", "b", "a")
    file.write_text("a\n")
    plane.fail(503, retry_after=3_600)  # until the flush
    handler.flush(0)
    wait_until(lambda: handler.stats().dropped == {"suppressed": 1}, "the first one's turn")
    log(logger, "a")
    file.unlink()
    log(logger, "c")
    assert handler.flush()
    assert users(plane) == ["b"]
    assert handler.stats().dropped == {"suppressed": 3, "privacy_failed": 1}
    assert "the file of suppressed can't be read (FileNotFoundError)" in caplog.text


def test_pending_events_may_stay(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """If that is asked for."""
    handler = make_handler(upload_interval=3_600)
    log(wire(handler), "a")
    assert handler.suppress("a", erase_pending=False) == 0
    log(wire(handler), "a")
    assert handler.flush()
    assert users(plane) == ["a"]


def test_one_handler_s_are_no_other_s(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """By its method."""
    handler, other = make_handler(), make_handler()
    handler.suppress("a")
    log(wire(other), "a")
    assert other.flush()
    assert users(plane) == ["a"]


@each("wrong", ["", None, 1.5, []])
def test_what_is_no_id_is_refused(wrong: Any) -> None:
    """Before anybody is suppressed."""
    with pytest.raises(InvalidEventError, match="suppress: id 2"):
        rudder_logging.suppress("a", wrong)


def test_what_waits_for_a_commit_does_not_leave_either(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """It is dropped once it would be sent."""
    from rudder_logging.handler import commits

    waiting: list[Any] = []
    take_back = commits.register(lambda _: waiting.append)
    try:
        handler = make_handler()
        with rudder_logging.on_commit():
            log(wire(handler), "a", "b")
        handler.suppress("a")
        for event in waiting:
            event.commit()
    finally:
        take_back()
    assert handler.flush()
    assert users(plane) == ["b"]
    assert handler.stats().dropped == {"suppressed": 1}


@each("hook", [None, lambda message: message])
def test_a_user_who_is_named_later(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, hook: Any
) -> None:
    """Is suppressed, and hashed once, as one who is named at the call."""
    from rudder_logging.handler import commits

    waiting: list[Any] = []
    take_back = commits.register(lambda _: waiting.append)
    try:
        handler = make_handler(
            privacy={"hash": ["ids"], "hmac_key": "k", "suppressed": ["gone"]},
            before_send=hook,
        )
        plane.clear()
        logger = wire(handler)
        with rudder_logging.on_commit():
            for _ in range(2):
                logger.info("e", extra={"rudder": {"anonymous_id": "a"}})
        logger.info("e", extra={"rudder": {"anonymous_id": "a", "user_id": "u"}})
        for event, name in zip(waiting, ("u", "gone"), strict=True):
            event.name_user(name)
            event.commit()
    finally:
        take_back()
    assert handler.flush()
    one, other = ({key: event[key] for key in ("userId", "anonymousId")} for event in plane.events)
    assert one == other
    assert handler.stats().dropped == {"suppressed": 1}
    assert "gone" not in json.dumps(plane.events)


def test_dead_letters(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, tmp_path: Path
) -> None:
    """What was refused of theirs is kept no longer; what is refused meanwhile, not at all."""
    file = tmp_path / "letters.jsonl"
    told: list[tuple[dict[str, Any], str]] = []
    handler = make_handler(dead_letter=str(file), on_drop=lambda *drop: told.append(drop))
    plane.fail_for(lambda event: event["userId"] in "ab", 400, "invalid json\n")
    log(wire(handler), "a", "b", "a", "c")
    assert handler.flush()
    assert file.read_text().count('"a"') == 2
    handler.suppress("a")
    (letter,) = (line for line in file.read_text().splitlines() if line.strip())
    assert json.loads(letter)["message"]["userId"] == "b"

    def refuses(event: dict[str, Any]) -> bool:
        handler.suppress("d")  # while the upload is on its way
        return bool(event["userId"] == "d")

    plane.heal()
    plane.fail_for(refuses, 413, "request size too large")
    told.clear()
    log(wire(handler), "d")
    assert handler.flush()
    assert '"d"' not in file.read_text()
    ((event, reason),) = told
    assert event.keys() == {"messageId", "type", "event"}
    assert reason.startswith("refused: 413")
    assert handler.stats().refused == 4
