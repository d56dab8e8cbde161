"""The doctor on the live logging tree: what stops an event, named, and cured."""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import types
from collections.abc import Iterator
from logging.handlers import MemoryHandler, QueueHandler, QueueListener
from pathlib import Path
from typing import Any

import pytest

from rudder_logging import EventLogger, RudderFormatter, RudderHandler
from rudder_logging.cli.doctor import visit
from rudder_logging.cli.doctor.findings import Finding, Severity
from rudder_logging.cli.doctor.passage import Passage, examine
from rudder_logging.cli.doctor.visit import Visit
from rudder_logging.dataplane import LocalDataPlane

from ...conftest import WRITE_KEY, MakeHandler, Wire


def stops(passage: Passage) -> list[Finding]:
    """What stops events."""
    return [finding for finding in passage.findings if finding.severity is Severity.STOPS]


def only_stop(passage: Passage) -> Finding:
    """The one thing that does; it has a cure, and the event does not leave."""
    (finding,) = stops(passage)
    assert not passage.leaves
    assert finding.cure
    return finding


def only_warning(passage: Passage) -> Finding:
    """The one warning; the event leaves all the same."""
    (finding,) = passage.findings
    assert passage.leaves
    assert finding.severity is Severity.WARNING
    assert finding.cure
    return finding


@pytest.fixture
def logger(make_handler: MakeHandler, wire: Wire) -> logging.Logger:
    """A logger at INFO with a handler of its own, under a parent that has none."""
    return wire(make_handler(), name="shop.orders")


@pytest.fixture(autouse=True)
def no_frameworks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests of this process may have left apps of theirs alive."""
    monkeypatch.setattr(visit, "of_integrations", tuple)


@pytest.fixture(autouse=True)
def loggers_as_before() -> Iterator[None]:
    """Whatever a test does to these loggers."""
    yield
    for name in ("shop", "shop.orders"):
        made = logging.getLogger(name)
        made.disabled, made.propagate = False, True
        made.filters.clear()
        made.setLevel(logging.NOTSET)
    logging.raiseExceptions = True


def leaves(plane: LocalDataPlane, logger: logging.Logger, handler: RudderHandler) -> bool:
    """Whether an event really leaves: the doctor is to say the same."""
    logger.info("Probe", extra={"rudder": {"user_id": "1"}})
    assert handler.flush()
    return bool(plane.events)


def test_a_clear_way(plane: LocalDataPlane, logger: logging.Logger) -> None:
    """It leaves, and the doctor says by which handler; asking sends nothing."""
    passage = examine(logger)
    assert passage.leaves
    assert passage.findings == ()
    (by,) = passage.leaves_by
    assert str(by) == f"RudderHandler to {plane.url} on logger 'shop.orders'"
    assert plane.requests == []
    assert isinstance(logger.handlers[0], RudderHandler)
    assert logger.handlers[0].stats().accepted == 0
    assert leaves(plane, logger, logger.handlers[0])


def test_level_of_the_logger(logger: logging.Logger) -> None:
    """Whose level it is, and what it is."""
    logger.setLevel(logging.ERROR)
    finding = only_stop(examine(logger))
    assert (finding.code, finding.subject) == ("logger-level", "logger 'shop.orders'")
    assert "ERROR" in finding.text
    assert "INFO" in finding.cure


def test_level_that_is_inherited(logger: logging.Logger) -> None:
    """The cure is on the logger in question; the reason is on the one above."""
    logger.setLevel(logging.NOTSET)
    logging.getLogger("shop").setLevel(logging.CRITICAL)
    finding = only_stop(examine(logger))
    assert (finding.code, finding.subject) == ("logger-level", "logger 'shop.orders'")
    assert "logger 'shop'," in finding.text
    assert "CRITICAL" in finding.text


def test_root_has_warning_by_default(logger: logging.Logger) -> None:
    """The commonest reason of all."""
    logger.setLevel(logging.NOTSET)
    finding = only_stop(examine(logger))
    assert finding.code == "logger-level"
    assert "the root logger" in finding.text
    assert "WARNING" in finding.text


def test_level_of_the_handler(logger: logging.Logger) -> None:
    """Named by handler and logger."""
    logger.handlers[0].setLevel(logging.ERROR)
    logger.handlers[0].set_name("events")
    finding = only_stop(examine(logger))
    assert finding.subject.startswith("RudderHandler 'events' to http://127.0.0.1")
    assert finding.subject.endswith("on logger 'shop.orders'")
    assert finding.code == "handler-level"
    assert "ERROR" in finding.text


def test_disabled_logger(logger: logging.Logger) -> None:
    """As `disable_existing_loggers` leaves it."""
    logger.disabled = True
    finding = only_stop(examine(logger))
    assert finding.code == "logger-disabled"
    assert '"disable_existing_loggers": False' in finding.cure


def test_logging_disable(logger: logging.Logger) -> None:
    """It is in force for all loggers, but not for calls."""
    logging.disable(logging.CRITICAL)
    finding = only_stop(examine(logger))
    assert finding.code == "logging-disabled"
    assert "CRITICAL" in finding.text
    assert examine(logger, by_call=True).leaves


def test_propagation_that_ends_on_the_way(make_handler: MakeHandler, wire: Wire) -> None:
    """The logger that does not propagate is named, and the handler that is not reached."""
    wire(make_handler(), name="shop")
    child = wire(name="shop.orders")
    assert examine(child).leaves
    child.propagate = False
    finding = only_stop(examine(child))
    assert (finding.code, finding.subject) == ("no-propagation", "logger 'shop.orders'")
    assert "on logger 'shop'" in finding.text


def test_no_handler_on_the_way(make_handler: MakeHandler, wire: Wire) -> None:
    """Where there is one is said, too."""
    wire(make_handler(), name="shop.orders")
    finding = only_stop(examine(wire(name="shop")))
    assert (finding.code, finding.subject) == ("no-handler", "logger 'shop'")
    assert "on logger 'shop.orders'" in finding.text


def test_events_that_go_to_a_file(wire: Wire) -> None:
    """Lines of a RudderFormatter are no delivery, but can be shipped."""
    writer = logging.StreamHandler()
    writer.setFormatter(RudderFormatter())
    finding = only_stop(examine(wire(writer)))
    assert finding.code == "no-handler"
    assert "rudder-logging replay" in finding.text


class NoOrders(logging.Filter):
    """Keeps back what it is asked about."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Nothing passes."""
        return False


def takes_the_event_off(record: logging.LogRecord) -> bool:
    """A filter that meant well."""
    record.__dict__.pop("rudder", None)
    return True


def raises(record: logging.LogRecord) -> bool:
    """A filter with a fault."""
    raise KeyError("request")


@pytest.mark.parametrize(
    ("one", "code", "name"),
    [
        (NoOrders(), "filter-keeps-back", "NoOrders"),
        (logging.Filter("other"), "filter-keeps-back", "Filter('other')"),
        (takes_the_event_off, "filter-takes-event", "takes_the_event_off"),
        (raises, "filter-raises", "raises raises KeyError"),
    ],
)
@pytest.mark.parametrize("on_logger", [True, False])
def test_filters_are_asked(
    logger: logging.Logger, one: Any, code: str, name: str, *, on_logger: bool
) -> None:
    """Each is asked about a record with an event; the one that stops it is named."""
    filterer: logging.Filterer = logger if on_logger else logger.handlers[0]
    filterer.addFilter(lambda record: True)
    filterer.addFilter(one)
    finding = only_stop(examine(logger))
    assert finding.code == code
    assert name in finding.text
    assert "logger 'shop.orders'" in finding.subject


def test_filter_that_replaces_the_record(logger: logging.Logger) -> None:
    """From Python 3.12 the one that it returns goes on; before, it is just a true value."""
    logger.addFilter(lambda _record: logging.makeLogRecord({"msg": "another"}))  # type: ignore[arg-type,return-value]
    assert examine(logger).leaves is (sys.version_info < (3, 12))


def test_everything_that_stops_is_told_at_once(logger: logging.Logger) -> None:
    """Not one thing a run."""
    logger.disabled = True
    logger.setLevel(logging.ERROR)
    logger.addFilter(NoOrders())
    logger.handlers[0].setLevel(logging.ERROR)
    assert len(stops(examine(logger))) == 4


def test_handler_that_is_met_twice(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire
) -> None:
    """That is well: an event is sent once, and the doctor knows."""
    handler = make_handler()
    wire(handler, name="shop")
    child = wire(handler, name="shop.orders")
    passage = examine(child)
    (finding,) = passage.findings
    assert (finding.severity, finding.code) == (Severity.WELL, "reached-twice")
    assert len(passage.leaves_by) == 1
    assert leaves(plane, child, handler)
    assert len(plane.events) == 1


def test_handler_that_gets_a_copy_besides(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire
) -> None:
    """A QueueHandler hands another record on: the event is sent twice, and the doctor knows."""
    handler = make_handler()
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = QueueListener(records, handler)
    listener.start()
    logger = wire(handler, QueueHandler(records))
    codes = [finding.code for finding in examine(logger).findings]
    assert leaves(plane, logger, handler)
    listener.stop()
    assert handler.flush()
    assert len(plane.events) == 2
    assert "reached-by-copy" in codes


def test_handler_that_is_open_by_one_of_two_ways(make_handler: MakeHandler, wire: Wire) -> None:
    """One closed way is no reason, but worth a warning."""
    handler = make_handler()
    wire(MemoryHandler(10, target=handler), name="shop")
    (by,) = examine(wire(handler, name="shop.orders")).leaves_by
    assert by.owner.name == "shop.orders"


def test_two_handlers_of_one_source(make_handler: MakeHandler, wire: Wire) -> None:
    """Each event would be stored twice, under two ids."""
    wire(make_handler(), name="shop")
    finding = only_warning(examine(wire(make_handler(), name="shop.orders")))
    assert finding.code == "same-source"


def test_one_of_two_handlers_is_closed(make_handler: MakeHandler, wire: Wire) -> None:
    """Events leave by the other: a warning."""
    closed = make_handler(write_key="another")
    closed.setLevel(logging.ERROR)
    assert only_warning(examine(wire(make_handler(), closed))).code == "handler-level"


def test_send_is_off(make_handler: MakeHandler, wire: Wire) -> None:
    """The option for tests and staging, left on."""
    assert only_stop(examine(wire(make_handler(send=False)))).code == "send-off"


def test_formatter_that_can_make_no_messages(logger: logging.Logger) -> None:
    """It is left aside, so events leave."""
    logger.handlers[0].formatter = logging.Formatter()
    assert only_warning(examine(logger)).code == "formatter-unfit"


def test_memory_handler(make_handler: MakeHandler, wire: Wire) -> None:
    """Events wait in it for what may never come; its level counts, that of its target does not."""
    inner = make_handler()
    inner.setLevel(logging.ERROR)
    outer = MemoryHandler(50, target=inner)
    logger = wire(outer)
    finding = only_warning(examine(logger))
    assert finding.code == "behind-memory-handler"
    assert "50" in finding.text
    assert "ERROR" in finding.text
    assert "inside MemoryHandler" in finding.subject
    outer.setLevel(logging.ERROR)
    assert only_stop_among(examine(logger)).code == "handler-level"


def only_stop_among(passage: Passage) -> Finding:
    """The one thing that stops events, beside warnings."""
    (finding,) = stops(passage)
    return finding


def codes_of(passage: Passage) -> set[str]:
    """The kinds of all that is found."""
    return {finding.code for finding in passage.findings}


@pytest.mark.parametrize("respects", [True, False])
def test_queue_handler(make_handler: MakeHandler, wire: Wire, *, respects: bool) -> None:
    """The listener's handlers are found; what such a queue does to events is said."""
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    inner = make_handler()
    inner.setLevel(logging.ERROR)
    logger = wire(QueueHandler(records))
    assert "queue-without-listener" in codes_of(examine(logger))
    listener = QueueListener(records, inner, respect_handler_level=respects)
    passage = examine(logger)
    assert passage.leaves is not respects
    assert {"behind-queue-handler", "listener-not-started"} <= codes_of(passage)
    listener.start()
    assert "listener-not-started" not in codes_of(examine(logger))
    listener.stop()


class Wrapper(logging.Handler):
    """A handler of the app's that hands on to another."""

    def __init__(self, inner: logging.Handler) -> None:
        super().__init__()
        self.inner: list[object] = [inner, "and what else there is"]


def test_wrapper_of_the_apps(make_handler: MakeHandler, wire: Wire) -> None:
    """Found in its attributes; but nobody knows what it does."""
    finding = only_warning(examine(wire(Wrapper(make_handler()))))
    assert finding.code == "behind-wrapper"
    assert "inside Wrapper" in finding.subject


def test_adapter_that_throws_extra_away(logger: logging.Logger) -> None:
    """A plain LoggerAdapter does, an EventLogger does not."""
    kept = EventLogger(logger)
    assert examine(logger).findings == ()
    adapter = logging.LoggerAdapter(logger, {"request": 1})
    finding = only_warning(examine(logger))
    assert finding.code == "adapter-drops-extra"
    assert "EventLogger" in finding.cure
    assert examine(logging.getLogger("shop")).findings == tuple(
        stops(examine(logging.getLogger("shop")))
    )
    del adapter, kept


def test_calls_heed_no_level(make_handler: MakeHandler, wire: Wire) -> None:
    """`track()` delivers through handlers whatever their level, but not through filters."""
    handler = make_handler()
    handler.setLevel(logging.CRITICAL)
    rudder = wire(handler, name="rudder")
    rudder.setLevel(logging.ERROR)
    rudder.disabled = True
    assert examine(rudder, by_call=True).leaves
    handler.addFilter(NoOrders())
    assert only_stop(examine(rudder, by_call=True)).code == "filter-keeps-back"


def test_calls_find_no_handler_inside_another(make_handler: MakeHandler, wire: Wire) -> None:
    """They look at loggers' own handlers only, and make one of the settings."""
    passage = examine(wire(MemoryHandler(1, target=make_handler()), name="rudder"), by_call=True)
    assert passage.leaves
    assert passage.leaves_by == ()


def test_handlers_inside_each_other(wire: Wire) -> None:
    """A circle has an end."""
    outer = Wrapper(logging.NullHandler())
    outer.inner.append(Wrapper(outer))
    assert not examine(wire(outer)).leaves


def test_calls_make_a_handler_of_the_settings(
    plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With none on the way, it depends on the settings; the error is told as the call would."""
    visit = Visit()
    visit.look_at_logging()
    (finding,) = visit.findings
    assert (finding.severity, finding.code) == (Severity.STOPS, "settings")
    assert "write_key" in finding.text
    assert "RUDDER_WRITE_KEY" in finding.cure
    monkeypatch.setenv("RUDDER_WRITE_KEY", WRITE_KEY)
    monkeypatch.setenv("RUDDER_DATA_PLANE_URL", plane.url)
    visit = Visit()
    visit.look_at_logging()
    assert visit.findings == []
    monkeypatch.setenv("RUDDER_SEND", "off")
    visit = Visit()
    visit.look_at_logging()
    assert visit.findings[0].code == "send-off"


def test_the_handlers_owners_are_asked_by_default(logger: logging.Logger) -> None:
    """And the calls, whose lack of settings is no fault where there is a handler."""
    visit = Visit()
    visit.look_at_logging()
    assert [passage.logger.name for passage in visit.passages] == ["shop.orders", "rudder"]
    found = [finding.severity for finding in visit.findings if finding.subject != "SIGTERM"]
    assert found == [Severity.WARNING]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "package", "severity"),
    [
        ({}, "uvicorn", "warning"),
        ({}, "logging", "well"),
        ({}, "rudder_logging.integrations.asgi, uvicorn", "well"),
        ({"drain_on_sigterm": True}, "uvicorn", None),
        ({"queue": "file:///spool"}, "uvicorn", None),
        ({"sync_mode": True}, "uvicorn", None),
        ({"send": False}, "uvicorn", None),
    ],
    ids=str,
)
def test_sigterm_that_nobody_handles(
    options: dict[str, Any], package: str, severity: str | None, tmp_path: Path
) -> None:
    """It ends the process with the events in its memory: a warning in an ASGI app, whose server may
    well be uvicorn, and in others a remark, because most servers handle it. So it is where our
    middleware delivers before.
    """
    if "queue" in options:
        options = {"queue": f"file://{tmp_path}/spool"}
    (tmp_path / "app_settings.py").write_text(
        f"import {package}\n"
        "LOGGING = {'version': 1, 'root': {'level': 'INFO', 'handlers': ['events']}}\n"
        "LOGGING['handlers'] = {'events': {'class': 'rudder_logging.RudderHandler'}}\n"
        f"LOGGING['handlers']['events'].update({options!r})\n"
    )
    words = ["--offline", "--json", "--config", "app_settings:LOGGING"]
    done = subprocess.run(
        [sys.executable, "-m", "rudder_logging", "doctor", *words],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path[1:]]),
            "RUDDER_WRITE_KEY": WRITE_KEY,
            "RUDDER_DATA_PLANE_URL": "http://127.0.0.1:1",
        },
        capture_output=True,
        timeout=50,
        check=False,
    )
    findings = json.loads(done.stdout)["findings"]
    severities = {finding["subject"]: finding["severity"] for finding in findings}
    assert severities.get("SIGTERM") == severity


def test_each_source_is_visited_once(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire
) -> None:
    """However many handlers it has; and not at all, if nothing is sent there."""
    wire(make_handler(), name="shop")
    wire(make_handler(), name="shop.orders")
    wire(make_handler(write_key="off", send=False), name="shop.api")
    visit = Visit()
    visit.look_at_logging()
    visit.look_at_network(timeout=60.0)
    assert len(plane.requests) == 1


def test_other_loggers_are_told_of_together(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Disabled ones, and those that do not propagate to a handler, by name, as warnings."""
    manager = logging.root.manager
    ours = {name: own for name, own in manager.loggerDict.items() if name.startswith("shop")}
    monkeypatch.setattr(manager, "loggerDict", ours)  # not those that other tests have made
    names = [f"shop.orders.part{number}" for number in range(7)]
    for name in names:
        logging.getLogger(name).disabled = True
    logging.getLogger("shop.orders.apart").propagate = False
    try:
        visit = Visit()
        visit.look_at_logging()
    finally:
        for name in names:
            logging.getLogger(name).disabled = False
        logging.getLogger("shop.orders.apart").propagate = True
    subjects = {finding.code: finding.subject for finding in visit.findings}
    assert "'shop.orders.part4' and 2 more" in subjects["logger-disabled"]
    assert subjects["no-propagation"] == "logger 'shop.orders.apart'"


def test_process_wide_matters(monkeypatch: pytest.MonkeyPatch, logger: logging.Logger) -> None:
    """UWSGI without threads, `raiseExceptions`, and what the package itself says."""
    monkeypatch.setitem(sys.modules, "uwsgi", fake_uwsgi())
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logging.getLogger("rudder_logging").disabled = True
    visit = Visit(["shop.orders"])
    visit.look_at_logging()
    found = {finding.code: finding for finding in visit.findings}
    expected = ("uwsgi-without-threads", "raise-exceptions-off", "diagnostics-lost")
    assert {found[code].severity for code in expected} == {Severity.WARNING}
    assert "enable-threads" in found["uwsgi-without-threads"].cure


def fake_uwsgi() -> types.ModuleType:
    """The module that uWSGI gives its apps, where threads are off."""
    module = types.ModuleType("uwsgi")
    module.opt = {"http": b":80"}  # type: ignore[attr-defined]
    return module
