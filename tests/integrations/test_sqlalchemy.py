"""Events that wait for a session of SQLAlchemy, with SQLite's real transactions."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import Column, Engine, Integer, Table, create_engine, event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, registry, scoped_session, sessionmaker

import rudder_logging
from rudder_logging import EventLogger, RudderHandler
from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.handler import commits
from rudder_logging.integrations.sqlalchemy import on_commit
from rudder_logging.testing import CapturedEvents

from ..conftest import MakeHandler, Wire, examples
from .scripts import run_example

INSERT = text("INSERT INTO orders (number) VALUES (:number)")


class Order:
    """A row of `orders`."""


_registry = registry()
_registry.map_imperatively(
    Order,
    Table(
        "orders",
        _registry.metadata,
        Column("id", Integer, primary_key=True),
        Column("number", Integer, unique=True),
    ),
)


def engine_at(path: Path | str) -> Engine:
    """A database whose savepoints are real: SQLAlchemy's own recipe for Python's SQLite."""
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", lambda one, _: setattr(one, "isolation_level", None))
    event.listen(engine, "begin", lambda one: one.exec_driver_sql("BEGIN"))
    _registry.metadata.create_all(engine)
    return engine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with a table of orders."""
    engine = engine_at(tmp_path / "shop.db")
    yield engine
    engine.dispose()


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Engine]:
    """Another one."""
    engine = engine_at(tmp_path / "replica.db")
    yield engine
    engine.dispose()


@pytest.fixture
def handler(make_handler: MakeHandler) -> RudderHandler:
    """A handler to the data plane."""
    return make_handler()


@pytest.fixture
def events(handler: RudderHandler, wire: Wire) -> EventLogger:
    """The seven calls, on a logger with that handler."""
    return EventLogger(wire(handler))


@pytest.fixture
def place(events: EventLogger) -> Callable[[Session, int], None]:
    """Store an order, and log its event."""

    def place(session: Session, number: int) -> None:
        session.execute(INSERT, {"number": number})
        events.info("Order Placed", extra={"rudder": {"user_id": str(number)}})

    return place


Place = Callable[[Session, int], None]


def sent(plane: LocalDataPlane) -> list[int]:
    """The numbers of the orders whose events have arrived."""
    assert rudder_logging.flush()
    return [int(event["userId"]) for event in plane.events]


def stored(engine: Engine) -> list[int]:
    """The numbers of the orders that a database keeps."""
    with engine.connect() as connection:
        return list(connection.execute(text("SELECT number FROM orders ORDER BY id")).scalars())


def rolled_back(handler: RudderHandler) -> int:
    """Number of events that were; nothing waits, and the ledger balances."""
    stats = handler.stats()
    assert stats.balanced
    assert stats.uncommitted == 0
    return stats.dropped.get("rolled_back", 0)


def test_commit_and_rollback(
    engine: Engine, place: Place, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """Rule 17: what was stored is told, in the order of the calls, and nothing else."""
    with Session(engine) as session, on_commit(session):
        place(session, 1)
        place(session, 2)
        assert handler.stats().uncommitted == 2
        assert sent(plane) == []
        session.commit()
        assert sent(plane) == [1, 2]
        place(session, 3)
        session.rollback()
        place(session, 4)
        session.commit()
    assert sent(plane) == stored(engine) == [1, 2, 4]
    assert rolled_back(handler) == 1


def test_savepoints(
    engine: Engine, place: Place, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """Rule 17: one that is released waits for what is around it, and goes with that."""
    with Session(engine) as session, on_commit(session):
        place(session, 1)
        with session.begin_nested() as outer:
            place(session, 2)
            with session.begin_nested():
                place(session, 3)
            assert handler.stats().uncommitted == 3
            outer.rollback()
        with session.begin_nested():
            place(session, 4)
        with suppress(IntegrityError), session.begin_nested():
            place(session, 5)
            place(session, 1)
        assert sent(plane) == []
        session.commit()
    assert sent(plane) == stored(engine) == [1, 4]
    assert rolled_back(handler) == 3


@pytest.mark.parametrize("end", ["close", "forget", "failed flush", "invalidate"])
def test_other_ends_are_rollbacks(
    engine: Engine, place: Place, handler: RudderHandler, plane: LocalDataPlane, end: str
) -> None:
    """Rule 17: a session that ends without a commit stores nothing, and tells nothing."""
    session = Session(engine)
    with on_commit(session):
        place(session, 1)
        session.begin_nested()
        place(session, 2)
    if end == "close":
        session.close()
    elif end == "invalidate":
        session.invalidate()
    elif end == "failed flush":
        with suppress(IntegrityError):
            session.execute(INSERT, {"number": 1})
        session.rollback()
        session.close()
    else:
        del session
        gc.collect()
    assert sent(plane) == stored(engine) == []
    assert rolled_back(handler) == 2


def test_two_sessions(
    engine: Engine, replica: Engine, place: Place, events: EventLogger, plane: LocalDataPlane
) -> None:
    """Rule 17: each has its own events; the innermost block counts, or the call's own word."""
    with Session(engine) as main, Session(replica) as other:
        with on_commit(main):
            place(main, 1)
            with on_commit(other):
                place(other, 2)
                events.track("3", "Order Placed", on_commit=main)
                events.track("4", "Order Placed", on_commit=True)
                events.track("5", "Order Placed", on_commit=False)
        other.commit()
        assert sent(plane) == [5, 2, 4]
        main.rollback()
    assert sent(plane) == [5, 2, 4]
    assert (stored(engine), stored(replica)) == ([], [2])


def test_without_a_block(
    engine: Engine, place: Place, events: EventLogger, plane: LocalDataPlane
) -> None:
    """The session may stand in the call; an event that asks for none leaves at once."""
    with Session(engine) as session:
        place(session, 1)
        events.track("2", "Order Placed", on_commit=session)
        events.info("A", extra={"rudder": {"user_id": "3"}, "rudder_on_commit": session})
        assert sent(plane) == [1]
        session.commit()
    assert sent(plane) == [1, 2, 3]


def test_true_names_no_session(
    engine: Engine,
    events: EventLogger,
    plane: LocalDataPlane,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Outside a block nobody knows which is meant: the event leaves at once, and it is told."""
    monkeypatch.setattr(commits, "_told", set())
    with Session(engine) as session:
        session.begin()
        events.track("1", "Order Placed", on_commit=True)
    assert sent(plane) == [1]
    assert "on_commit=True names no transaction" in caplog.text


def test_outside_a_transaction(
    engine: Engine, place: Place, events: EventLogger, plane: LocalDataPlane
) -> None:
    """Before the first statement, and after the commit, an event leaves at once."""
    with Session(engine) as session, on_commit(session):
        events.track("1", "Visit")
        place(session, 2)
        assert sent(plane) == [1]
        session.commit()
        events.track("3", "Visit")
    assert sent(plane) == [1, 2, 3]


def test_listener_of_the_apps_hears_of_the_commit(
    engine: Engine, place: Place, events: EventLogger, plane: LocalDataPlane
) -> None:
    """An event that it logs leaves at once: what it waits for has come."""
    with Session(engine) as session, on_commit(session):
        event.listen(session, "after_commit", lambda _: events.track("2", "Committed"))
        place(session, 1)
        session.commit()
    assert sent(plane) == [1, 2]


def test_event_of_a_flush_goes_with_what_is_around_it(
    engine: Engine, events: EventLogger, handler: RudderHandler, plane: LocalDataPlane
) -> None:
    """SQLAlchemy's own transaction for a flush is no end, nor is a savepoint within it."""

    def after_flush(session: Session, _context: object) -> None:
        events.track("1", "Flushed")
        with session.begin_nested():
            events.track("2", "Flushed")

    with Session(engine) as session, on_commit(session):
        event.listen(session, "after_flush", after_flush)
        for end in (session.rollback, session.commit):
            session.add(Order())
            session.flush()
            assert handler.stats().uncommitted == 2
            end()
    assert sent(plane) == [1, 2]
    assert rolled_back(handler) == 2


@pytest.mark.parametrize("given", [None, "main", sessionmaker(), object()])
def test_what_is_no_session_is_a_typing_error(given: Any) -> None:
    """A sessionmaker is the likeliest."""
    with pytest.raises(TypeError, match="on_commit takes a session of SQLAlchemy, not "):
        on_commit(given)


def test_scoped_session(engine: Engine, place: Place, plane: LocalDataPlane) -> None:
    """The session of the thread that logs counts."""
    scoped = scoped_session(sessionmaker(engine))
    with on_commit(scoped):
        place(scoped(), 1)

        def visit() -> None:
            with on_commit(scoped):
                place(scoped(), 2)
            scoped.remove()

        assert sent(plane) == []
        scoped.commit()
        thread = threading.Thread(target=visit)
        thread.start()
        thread.join()
        scoped.remove()
        place(scoped(), 3)
        scoped.commit()
    scoped.remove()
    assert sent(plane) == stored(engine) == [1, 3]


def test_async_sessions(tmp_path: Path, events: EventLogger, plane: LocalDataPlane) -> None:
    """Tasks at once, each with its session; every third one is rolled back."""

    async def visit(session: AsyncSession, number: int) -> None:
        async with session.begin():
            with on_commit(session):
                events.track(str(number), "Order Placed")
                await asyncio.sleep(0)
                async with session.begin_nested() as savepoint:
                    events.track(str(number + 1), "Order Placed")
                    await savepoint.rollback()
                if number % 3 == 0:
                    await session.rollback()

    async def visits() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}")
        make = async_sessionmaker(engine)
        sessions = [make() for _ in range(10)]
        await asyncio.gather(*(visit(one, 2 * number) for number, one in enumerate(sessions)))
        scoped = async_scoped_session(make, asyncio.current_task)
        with on_commit(scoped):
            events.track("100", "before")
            await scoped.execute(text("SELECT 1"))
            events.track("101", "Order Placed")
            await scoped.rollback()
        await scoped.remove()
        for one in sessions:
            await one.close()
        await engine.dispose()

    asyncio.run(visits())
    assert sorted(sent(plane)) == [2, 4, 8, 10, 14, 16, 100]


def test_fixture_shows_what_waits(engine: Engine, rudder_events: CapturedEvents) -> None:
    """In an app's tests, marked; what is rolled back is not there any more."""
    with Session(engine) as session, on_commit(session):
        session.begin()
        rudder_logging.track("1", "Order Placed")
        with session.begin_nested() as savepoint:
            rudder_logging.track("2", "Order Placed")
            savepoint.rollback()
        assert [one.on_commit for one in rudder_events] == [True]
        session.rollback()
        assert len(rudder_events) == 0


class Savepoints(RuleBasedStateMachine):
    """Whatever is begun, committed, rolled back and closed: events tell what the database keeps."""

    plane: LocalDataPlane
    handler: RudderHandler
    place: Place
    path: Path

    def __init__(self) -> None:
        super().__init__()
        self.path.unlink(missing_ok=True)
        self.engine = engine_at(self.path)
        self.session = Session(self.engine)
        self.before = self.handler.stats()
        self.plane.clear()
        self.number = 0

    @rule()
    def place_order(self) -> None:
        """Store an order, and log its event."""
        self.number += 1
        with on_commit(self.session):
            self.place(self.session, self.number)

    @rule()
    def begin_savepoint(self) -> None:
        """Begin one, in another perhaps."""
        self.session.begin_nested()

    def _savepoint(self) -> Any:
        return self.session.get_nested_transaction()

    @precondition(_savepoint)
    @rule()
    def release_savepoint(self) -> None:
        """Commit the innermost."""
        self._savepoint().commit()

    @precondition(_savepoint)
    @rule()
    def roll_savepoint_back(self) -> None:
        """Undo the innermost."""
        self._savepoint().rollback()

    @precondition(_savepoint)
    @rule()
    def roll_outermost_savepoint_back(self) -> None:
        """Undo the outermost, with all in it."""
        transaction = self._savepoint()
        while transaction.parent.nested:
            transaction = transaction.parent
        transaction.rollback()

    @rule()
    def commit(self) -> None:
        """Commit all."""
        self.session.commit()

    @rule()
    def roll_back(self) -> None:
        """Undo all."""
        self.session.rollback()

    @rule()
    def close(self) -> None:
        """Go on with another session."""
        self.session.close()
        self.session = Session(self.engine)

    @invariant()
    def what_is_stored_is_told(self) -> None:
        """In the order of the calls, and all is accounted for."""
        kept = stored(self.engine)
        now = self.handler.stats()
        assert now.balanced
        queued = now.accepted - self.before.accepted - now.uncommitted
        gone = now.dropped.get("rolled_back", 0) - self.before.dropped.get("rolled_back", 0)
        assert queued - gone == len(kept)
        assert sent(self.plane) == kept

    def teardown(self) -> None:
        """Let go of the database."""
        self.session.close()
        self.engine.dispose()


def test_events_tell_what_the_database_keeps(
    plane: LocalDataPlane, make_handler: MakeHandler, wire: Wire, tmp_path: Path
) -> None:
    """Rule 17: over any sequence of savepoints, commits, rollbacks and closed sessions."""
    handler = make_handler(upload_interval=0.01)
    events = EventLogger(wire(handler))

    def place(session: Session, number: int) -> None:
        session.execute(INSERT, {"number": number})
        events.info("Order Placed", extra={"rudder": {"user_id": str(number)}})

    given = {"plane": plane, "handler": handler, "place": staticmethod(place)}
    machine: Any = type("Machine", (Savepoints,), {**given, "path": tmp_path / "machine.db"})
    machine.TestCase.settings = settings(max_examples=examples(0.2), stateful_step_count=20)
    machine.TestCase("runTest").runTest()


@pytest.mark.slow
def test_example(plane: LocalDataPlane) -> None:
    """Rule 17: the guide's app, as a process."""
    run_example(plane, "examples/sqlalchemy_app.py")
    assert [event["properties"]["no"] for event in plane.events] == [1, 3]
