"""The collector: its numbers are those of `stats()`, and a scrape harms nobody."""

from __future__ import annotations

import ast
import dataclasses
import gc
import inspect
import logging
import os
import re
import subprocess
import sys
import textwrap
import threading
import weakref
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from rudder_logging import RudderHandler, Stats
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.delivery import reports
from rudder_logging.handler.measures import EXPECTED, LOSSES, MEASURES
from rudder_logging.metrics import collector

from ..conftest import WRITE_KEY, MakeHandler, Wire
from .scraping import PATIENCE, Page, serving

EVENT = {"rudder": {"user_id": "42"}}


def named(make_handler: MakeHandler, name: str, **options: Any) -> RudderHandler:
    """A handler with a name, by which a page tells it from others."""
    handler = make_handler(**options)
    handler.set_name(name)
    return handler


def test_all_stats_are_shown() -> None:
    """Each field of `Stats`, under one name in each system; beside them, the queue's room."""
    fields = [measure.field for measure in MEASURES]
    assert set(fields) == {f.name for f in dataclasses.fields(Stats)} | {"max_events", "max_bytes"}
    for names in (fields, [m.prometheus for m in MEASURES], [m.opentelemetry for m in MEASURES]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.prometheus)
def test_names_follow_the_conventions(measure: Any) -> None:
    """Prometheus': base units in the name, `_total` by the client alone; and a text of help."""
    assert re.fullmatch(r"rudder_[a-z]+(_[a-z]+)*", measure.prometheus)
    assert measure.prometheus.endswith("_bytes") == (measure.unit == "By")
    assert not measure.prometheus.endswith(("_total", "_count", "_sum", "_bucket", "_created"))
    assert re.fullmatch(r"[A-Z].*\.", measure.doc)


def test_reasons_are_those_of_stats() -> None:
    """All that `Stats.dropped` names are either a loss or expected, and what is told is a loss."""
    body = ast.parse(textwrap.dedent(inspect.getsource(Stats))).body[0]
    assert isinstance(body, ast.ClassDef)
    at = next(
        number
        for number, node in enumerate(body.body)
        if isinstance(node, ast.AnnAssign)
        if isinstance(node.target, ast.Name) and node.target.id == "dropped"
    )
    words = set(re.findall(r"`(\w+)`", ast.unparse(body.body[at + 1])))
    words -= {"on_commit", "privacy", "max_age", "testing"}  # not reasons
    assert set(LOSSES) | set(EXPECTED) == words
    assert not set(LOSSES) & set(EXPECTED)
    assert set(LOSSES) & reports._EXPECTED == {"shutdown"}  # it has a line of its own


def test_page_has_what_stats_have(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane
) -> None:
    """While uploads hang, and when all is settled; by the parser, over HTTP."""
    handler = named(
        make_handler,
        "shop",
        upload_size=1,
        timeout=0.5,
        before_send=lambda event: None if event["event"] == "unwanted" else event,
    )
    logger = wire(handler)
    with serving(collector(handler)) as scrape:
        before = scrape()
        assert before.value("rudder_events_accepted_total", handler="shop") == 0
        plane.hang(times=1)
        for name in ("a", "b", "unwanted"):
            logger.info(name, extra=EVENT)
        while not handler.stats().lost_answers:
            page = scrape()
            assert page.value("rudder_events_accepted_total") == 3
            assert page.value("rudder_events_dropped_total", reason="before_send") == 1
        assert handler.flush(PATIENCE)
        page, stats = scrape(), handler.stats()
    shown = {
        measure.field: page.value(measure.prometheus + "_total" * measure.counts)
        for measure in MEASURES
    }
    config = handler.config
    assert shown == {
        **dataclasses.asdict(stats),
        "dropped": 1,
        "holding": 0,
        "outage": 0,
        "max_events": config.max_queue_size,
        "max_bytes": config.max_queue_bytes,
    }
    assert stats.delivered == 2
    assert all(page.types[m.prometheus + "_total"] == "counter" for m in MEASURES if m.counts)
    assert all(page.types[m.prometheus] == "gauge" for m in MEASURES if not m.counts)
    labels = {frozenset(dict(labels)) for _, labels in page.samples}
    assert labels == {frozenset({"server", "handler"}), frozenset({"server", "handler", "reason"})}
    assert WRITE_KEY not in page.text


def test_losses_count_from_nothing(make_handler: MakeHandler) -> None:
    """A rate needs two values: a series that begins at 1 would hide the first loss."""
    handler = make_handler()
    with serving(collector(handler)) as scrape:
        page = scrape()
    assert [page.value("rudder_events_dropped_total", reason=reason) for reason in LOSSES] == (
        [0] * len(LOSSES)
    )


def test_waiting_events_and_holds_are_seen(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As numbers; the texts, which may be many, stay in `stats()`."""
    handler = named(make_handler, "shop", write_key="wrong")
    wire(handler).info("e", extra=EVENT)
    while handler.stats().holding is None:
        handler.flush(0.1)
    with serving(collector(handler)) as scrape:
        page = scrape()
        assert page.value("rudder_holding", handler="shop", server="127.0.0.1") == 1
        assert page.value("rudder_events_pending") == 1
        assert page.value("rudder_queue_bytes") == handler.stats().pending_bytes
        monkeypatch.setattr(plane, "write_key", "wrong")
        assert handler.flush(PATIENCE)
        page = scrape()
    assert page.value("rudder_holding") == page.value("rudder_events_pending") == 0
    assert "wrong" not in page.text


def test_room_of_a_spool_is_its_own(make_handler: MakeHandler, spool: Any) -> None:
    """In bytes; it has no bound of events."""
    handler = make_handler(queue=f"file://{spool}?max_bytes=1048576")
    with serving(collector(handler)) as scrape:
        page = scrape()
    assert page.value("rudder_queue_max_bytes") == 1_048_576
    assert page.value("rudder_queue_max_events") is None


def test_alike_handlers_are_added_up_and_others_apart(
    make_handler: MakeHandler, wire: Wire
) -> None:
    """By name; a name that is given later counts from then on."""
    handlers = [make_handler() for _ in range(3)]
    handlers[0].set_name("first")
    wire(*handlers).info("e", extra=EVENT)
    with serving(collector(*handlers)) as scrape:
        assert accepted_by_name(scrape()) == {"first": 1, "": 2}
        handlers[1].set_name("first")
        assert accepted_by_name(scrape()) == {"first": 2, "": 1}


def accepted_by_name(page: Page) -> dict[str, float]:
    """By the label `handler`."""
    return {
        dict(labels)["handler"]: value
        for (name, labels), value in page.samples.items()
        if name == "rudder_events_accepted_total"
    }


def test_without_handlers_all_of_the_process_are_shown(make_handler: MakeHandler) -> None:
    """Those that come later, too."""
    with serving(collector()) as scrape:
        named(make_handler, "first")
        assert "first" in accepted_by_name(scrape())
        named(make_handler, "later")
        assert {"first", "later"} <= set(accepted_by_name(scrape()))


def test_no_handler_is_kept_alive_and_its_counts_stay(wire: Wire, plane: LocalDataPlane) -> None:
    """A handler in its place goes on from there: `dictConfig`, called twice, is no new start."""

    def make() -> RudderHandler:
        return RudderHandler(WRITE_KEY, plane.url, shutdown_timeout=PATIENCE)

    handler = make()
    logger = wire(handler)
    logger.info("e", extra=EVENT)
    handler.close()
    with serving(collector(handler)) as first, serving(collector()) as every:
        assert first().value("rudder_events_delivered_total") == 1
        before = every().value("rudder_events_delivered_total", server="127.0.0.1", handler="")
        assert before is not None
        known = weakref.ref(handler)
        logger.removeHandler(handler)
        del handler
        gc.collect()
        assert known() is None
        page = first()
        assert page.value("rudder_events_delivered_total") == 1
        assert page.value("rudder_events_pending") is None
        after = every().value("rudder_events_delivered_total", server="127.0.0.1", handler="")
        assert after is not None
        assert after >= before
        successor = make()
        logger.addHandler(successor)
        logger.info("e", extra=EVENT)
        successor.close()
        after = every().value("rudder_events_delivered_total", server="127.0.0.1", handler="")
        assert after is not None
        assert after >= before + 1


def test_closed_handler_is_not_opened_by_a_scrape(make_handler: MakeHandler, wire: Wire) -> None:
    """No thread comes of it."""
    handler = make_handler()
    wire(handler).info("e", extra=EVENT)
    handler.close()
    threads = threading.active_count()
    with serving(collector(handler)) as scrape:
        assert scrape().value("rudder_events_delivered_total") == 1
        assert handler._listener.unattended
    assert threading.active_count() == threads


def test_handler_that_can_not_tell_spoils_no_page(make_handler: MakeHandler) -> None:
    """The others, and all else that the app shows, are still there."""

    class Odd(RudderHandler):
        def stats(self) -> Stats:
            raise OSError("the buffer is gone")

    odd, well = Odd(WRITE_KEY, "http://127.0.0.1:9"), named(make_handler, "well")
    with serving(collector(odd, well)) as scrape:
        assert set(accepted_by_name(scrape())) == {"well"}


def test_many_scrapes_at_once(make_handler: MakeHandler, wire: Wire) -> None:
    """While handlers come, go and log."""
    ended = threading.Event()
    faults: list[BaseException] = []
    with serving(collector()) as scrape:

        def look() -> None:
            last = 0.0
            try:
                while not ended.is_set():
                    now = scrape().value("rudder_events_accepted_total", handler="passing") or 0.0
                    assert now >= last
                    last = now
            except BaseException as error:  # noqa: BLE001 - it is shown below
                faults.append(error)

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(20):
                wire(named(make_handler, "passing")).info("e", extra=EVENT)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        assert scrape().value("rudder_events_accepted_total", handler="passing") == 20
    assert faults == []


def test_second_collector_of_a_registry_is_refused() -> None:
    """Its names are taken: the registry says so, instead of serving a page that can't be read."""
    registry = CollectorRegistry(auto_describe=True)
    registry.register(collector())
    with pytest.raises(ValueError, match="Duplicated"):
        registry.register(collector())


def test_other_handlers_are_refused() -> None:
    """At the call, with the type that was given."""
    with pytest.raises(TypeError, match="RudderHandlers, not StreamHandler"):
        collector(logging.StreamHandler())  # type: ignore[arg-type]


def test_without_the_extra() -> None:
    """The error says what to install."""
    code = "import sys; sys.modules['prometheus_client'] = None; import rudder_logging.metrics"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert 'pip install "rudder-logging[metrics]"' in done.stderr
    assert done.returncode == 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_child_counts_anew(tmp_path: Any, plane: LocalDataPlane) -> None:
    """A scrape opens nothing of an unused one, and waits for no lock that the parent held."""
    code = textwrap.dedent(
        f"""
        import logging, os, sys
        from prometheus_client import CollectorRegistry, generate_latest
        from rudder_logging import RudderHandler
        from rudder_logging.metrics import collector

        spool = {str(tmp_path / "spool")!r}
        handler = RudderHandler({WRITE_KEY!r}, {plane.url!r}, queue="file://" + spool)
        logging.getLogger().addHandler(handler)
        def log(name):
            logging.warning(name, extra={{"rudder": {{"user_id": "42"}}}})
        def accepted():
            page = generate_latest(registry).decode().splitlines()
            found = [l for l in page if l.startswith("rudder_events_accepted_total{{")]
            return float(found[0].split()[-1])
        ledgers = collector()
        registry = CollectorRegistry()
        registry.register(ledgers)
        log("parent")
        assert accepted() == 1
        ledgers._sums._lock.acquire()  # as another thread's scrape would
        child = os.fork()
        if not child:
            try:
                assert accepted() == 0
                assert handler._is_unused()
                log("child")
                assert accepted() == 1
                handler.close()
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        ledgers._sums._lock.release()
        assert os.waitpid(child, 0)[1] == 0
        assert accepted() == 1
        """
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert {event["event"] for event in plane.events} == {"parent", "child"}
