"""What belongs to a record: one id wherever its message is made, and the template that names it."""

from __future__ import annotations

import copy
import logging
import queue
from collections.abc import Callable, Iterator, Mapping
from logging.handlers import MemoryHandler, QueueHandler, QueueListener
from pathlib import Path
from types import MappingProxyType
from typing import Any

import freezegun
import orjson
import pytest

from rudder_logging import RudderFormatter, RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.events.records import RECORD_IDS
from rudder_logging.testing import capture_events

from ..conftest import MakeHandler, Wire

FIELDS = {"user_id": "u1", "event": "Article Read"}


@pytest.fixture(autouse=True)
def nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No place has logged anything yet."""
    monkeypatch.setattr("rudder_logging.events.records._calls", {})
    monkeypatch.setattr("rudder_logging.events.records._told", set())


@pytest.fixture
def file(tmp_path: Path) -> Iterator[logging.FileHandler]:
    """A log of events."""
    handler = logging.FileHandler(tmp_path / "events.log")
    handler.setFormatter(RudderFormatter())
    yield handler
    handler.close()


def ids_in(file: logging.FileHandler) -> list[str]:
    """Of the messages in a log."""
    file.flush()
    lines = Path(file.baseFilename).read_bytes().splitlines()
    return [orjson.loads(line)["messageId"] for line in lines]


class Behind(QueueHandler):
    """A queue of logging's own, and handlers behind it."""

    def __init__(self, *handlers: logging.Handler) -> None:
        super().__init__(queue.SimpleQueue())
        self.behind = QueueListener(self.queue, *handlers)
        self.behind.start()

    def end(self) -> None:
        """Let all records through."""
        if self.behind._thread is not None:
            self.behind.stop()


@pytest.fixture
def behind() -> Iterator[Callable[..., Behind]]:
    """Put handlers behind a queue."""
    made: list[Behind] = []

    def make(*handlers: logging.Handler) -> Behind:
        made.append(Behind(*handlers))
        return made[-1]

    yield make
    for handler in made:
        handler.end()


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("fields", [FIELDS, MappingProxyType(FIELDS)])
def test_a_file_has_the_ids_that_are_sent(
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    wire: Wire,
    file: logging.FileHandler,
    fields: Mapping[str, Any],
    *,
    is_first: bool,
) -> None:
    """Whoever comes first: a replay of the file is known for what it is."""
    handler = make_handler()
    logger = wire(*((file, handler) if is_first else (handler, file)))
    for _ in range(5):
        logger.info("Read", extra={"rudder": fields})
    logger.info("Read", extra={"rudder": {**fields, "message_id": "given"}})
    assert handler.flush(10)
    sent = [event["messageId"] for event in plane.events]
    assert ids_in(file) == sent
    assert len(set(sent)) == 6


@pytest.mark.parametrize("which", ["file", "handler", "both"])
def test_copies_of_a_record_have_its_id(
    plane: LocalDataPlane,
    make_handler: MakeHandler,
    wire: Wire,
    file: logging.FileHandler,
    behind: Callable[..., Behind],
    which: str,
) -> None:
    """A QueueHandler passes copies on, to either of the two, or to both by two queues."""
    handler = make_handler()
    logger = wire(
        behind(file) if which != "handler" else file,
        behind(handler) if which != "file" else handler,
    )
    for _ in range(20):
        logger.info("Read", extra={"rudder": FIELDS})
    assert len(plane.wait_for(20)) == 20
    for wrapper in logger.handlers:
        if isinstance(wrapper, Behind):
            wrapper.end()
    sent = [event["messageId"] for event in plane.events]
    assert ids_in(file) == sent
    assert len(set(sent)) == 20


def test_records_that_wait_have_their_id(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire, file: logging.FileHandler
) -> None:
    """In a MemoryHandler, say."""
    handler = make_handler()
    waiting = MemoryHandler(100, target=handler)
    logger = wire(file, waiting)
    for _ in range(20):
        logger.info("Read", extra={"rudder": FIELDS})
    waiting.flush()
    assert handler.flush(10)
    assert ids_in(file) == [event["messageId"] for event in plane.events]
    waiting.close()


def test_records_at_one_moment_have_ids_of_their_own(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire, file: logging.FileHandler
) -> None:
    """Also where a clock stands still, and all of an event's values are the same objects."""
    handler = make_handler()
    logger = wire(file, handler)
    with freezegun.freeze_time("2026-01-31"):
        for _ in range(50):
            logger.info("Read", extra={"rudder": FIELDS})
    assert handler.flush(10)
    sent = [event["messageId"] for event in plane.events]
    assert ids_in(file) == sent
    assert len(set(sent)) == 50


def test_what_is_remembered_of_records_is_bounded() -> None:
    """The last ones have their ids; those long ago are forgotten."""
    formatter = RudderFormatter()
    records = [logging.makeLogRecord({"rudder": FIELDS}) for _ in range(12_000)]
    lines = [formatter.format(record) for record in records]
    assert len(set(lines)) == 12_000
    again = [formatter.format(copy.copy(record)) for record in records[-5_000:]]
    assert again == lines[-5_000:]
    assert len(RECORD_IDS._young) + len(RECORD_IDS._old) <= 10_000


def test_the_record_is_not_written_to(wire: Wire, file: logging.FileHandler) -> None:
    """Nor the event that it carries."""
    kept: list[logging.LogRecord] = []
    other = logging.Handler()
    other.emit = kept.append  # type: ignore[assignment,method-assign]
    fields = dict(FIELDS)
    wire(file, other).info("Read", extra={"rudder": fields})
    assert fields == FIELDS
    assert kept[0].__dict__["rudder"] is fields
    assert not any("id" in name for name in kept[0].__dict__)


@pytest.fixture
def logger(wire: Wire, behind: Callable[..., Behind], handler: RudderHandler) -> logging.Logger:
    """One with a queue of logging's own before the handler."""
    return wire(behind(handler))


@pytest.fixture
def handler(make_handler: MakeHandler) -> RudderHandler:
    """One that delivers."""
    return make_handler()


def settled(logger: logging.Logger, handler: RudderHandler) -> None:
    """Let all records through the queue."""
    (wrapper,) = logger.handlers
    assert isinstance(wrapper, Behind)
    wrapper.end()
    assert handler.flush(10)


@pytest.mark.parametrize("kind", ["track", "page", "screen"])
def test_a_formatted_text_names_no_event(
    logger: logging.Logger,
    handler: RudderHandler,
    plane: LocalDataPlane,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    """Each would be a table of its own. It is told once a place, with the cure, and counted."""
    field = "event" if kind == "track" else "name"
    for number in range(5):
        logger.info("Order %s paid", number, extra={"rudder": {"type": kind, "user_id": "u1"}})
    error = ValueError("no stock")
    logger.error("Order failed", exc_info=error, extra={"rudder": {"user_id": "u1"}})
    logger.info(
        "Order %s paid", 7, extra={"rudder": {"type": kind, "user_id": "u1", field: "Order Paid"}}
    )
    settled(logger, handler)
    assert [event[field] for event in plane.events] == ["Order Paid"]
    assert handler.stats().invalid == 6
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert f"give '{field}' with the event" in told[0]
    assert "test_records.py" in told[0]
    assert "paid" not in told[0]


def test_a_formatted_text_is_known_by_the_source(
    logger: logging.Logger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """Words in a text can't be told from a template by their looks."""
    fields = {"user_id": "u1"}
    for city in ("Rome", "Oslo", "Rome", "Kyiv"):
        logger.info("Flight to %s booked", city, extra={"rudder": fields})
        logger.log(
            logging.INFO,
            "Hotel in %s booked",
            city,
            extra={"rudder": fields},
        )
    settled(logger, handler)
    assert plane.events == []
    assert handler.stats().invalid == 8


def test_functions_that_log_a_name_given_to_them_lose_none(
    logger: logging.Logger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """All names of an app may come from one line: nothing is formatted there."""
    names = [f"{verb} {noun}" for verb in "abcdef" for noun in "uvwxyz"]

    def tell(name: str) -> None:
        logger.info(name, extra={"rudder": {"user_id": "u1"}})

    for name in names * 2:
        tell(name)
    logger.info("Step 2 of 3 Done", extra={"rudder": {"user_id": "u1"}})
    # fmt: off
    for won in (1, 0):
        logger.info("Won %s", 7, extra={"rudder": {"user_id": "u1"}}) if won else logger.info("Lost", extra={"rudder": {"user_id": "u1"}})  # noqa: E501
    # fmt: on
    settled(logger, handler)
    assert [event["event"] for event in plane.events] == [*(*names * 2, "Step 2 of 3 Done", "Lost")]
    assert handler.stats().invalid == 1


def test_a_place_without_source_names_few_events(
    logger: logging.Logger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """So texts make no table each; and names that were taken once are taken again."""
    tell = {"logger": logger}
    exec(  # as from a program without its source
        "def tell(*args): logger.info(*args, extra={'rudder': {'user_id': 'u1'}})", tell
    )
    words = [a + b for a in "abcdefg" for b in "uvwxyz"]
    for word in [*words, words[0]]:
        tell["tell"]("Gone to %s", word)  # type: ignore[operator]
    settled(logger, handler)
    assert [event["event"] for event in plane.events] == [
        f"Gone to {word}" for word in [*words[:20], words[0]]
    ]
    assert handler.stats().invalid == len(words) - 20


def test_a_format_of_the_queues_names_no_event(
    logger: logging.Logger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """It puts level or time before the text."""
    (wrapper,) = logger.handlers
    wrapper.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.info("Article Read", extra={"rudder": {"user_id": "u1"}})
    settled(logger, handler)
    assert plane.events == []
    assert handler.stats().invalid == 1


def test_a_text_that_is_the_template_names_its_event(
    logger: logging.Logger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """As without the queue; and an event that has a name may be logged with any text."""
    for _ in range(3):
        logger.info("Article Read", extra={"rudder": {"user_id": "u1"}})
    logger.info("for %s", 7, extra={"rudder": {"type": "identify", "user_id": "u1"}})
    settled(logger, handler)
    assert [event.get("event") for event in plane.events] == ["Article Read"] * 3 + [None]
    assert handler.stats().invalid == 0


def test_a_file_behind_a_queue_has_no_such_names(
    wire: Wire,
    behind: Callable[..., Behind],
    file: logging.FileHandler,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is shipped later is named by the same rule."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    wrapper = behind(file)
    logger = wire(wrapper)
    logger.info("Order %s paid", 7, extra={"rudder": {"user_id": "u1"}})
    logger.info("Article Read", extra={"rudder": {"user_id": "u1"}})
    wrapper.end()
    assert len(ids_in(file)) == 1


@pytest.mark.parametrize("value", [7, "Rome"])
def test_a_test_of_the_apps_tells_it(
    logger: logging.Logger, handler: RudderHandler, value: object
) -> None:
    """Where events are captured the template is known, so nothing has to be inferred."""
    with pytest.raises(AssertionError, match="give 'event' with the event"):  # noqa: PT012
        with capture_events():
            logger.info("Gone to %s", value, extra={"rudder": {"user_id": "u1"}})
            settled(logger, handler)
