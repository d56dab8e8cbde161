"""What other programs that run Python do with processes. The fault matrix has the real ones."""

from __future__ import annotations

import sys
import threading
import types
import weakref

import pytest

from rudder_logging.dataplane import LocalDataPlane
from rudder_logging.process import exits, forks, members

from ..conftest import MakeHandler, Wire


@pytest.fixture
def uwsgi(monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Stand for uWSGI's module, in its master, with threads enabled."""
    module = types.SimpleNamespace(
        opt={"enable-threads": b"true"}, masterpid=lambda: 1, worker_id=lambda: 0
    )
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    monkeypatch.setitem(sys.modules, "uwsgidecorators", None)
    monkeypatch.setattr(forks, "_watches_uwsgi", False)
    return module


def test_events_leave_with_the_calls_in_uwsgis_master(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    uwsgi: types.SimpleNamespace,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It runs no thread and no exit hook of Python's once it has forked: nothing could be sent
    later. Nobody is told to enable threads that are enabled.
    """
    wire(make_handler()).info("e", extra={"rudder": {"user_id": "u"}})
    assert len(plane.events) == 1
    assert "enable-threads" not in caplog.text


def test_hook_of_uwsgis_forks_calls_the_one_before_it(
    make_handler: MakeHandler, wire: Wire, plane: LocalDataPlane, uwsgi: types.SimpleNamespace
) -> None:
    """There is one hook, which others may have set, and uWSGI calls it in processes that were not
    forked, too, where events that wait are to stay.
    """
    calls: list[str] = []
    uwsgi.post_fork_hook = lambda: calls.append("theirs")
    uwsgi.worker_id = lambda: 1
    handler = make_handler(upload_interval=60)
    make_handler()  # hooks no second time
    wire(handler).info("e", extra={"rudder": {"user_id": "u"}})
    uwsgi.post_fork_hook()
    assert calls == ["theirs"]
    assert handler.stats().pending == 1


def test_hook_of_uwsgis_forks_goes_to_its_own_decorators(
    make_handler: MakeHandler, uwsgi: types.SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `uwsgidecorators` works, it keeps all hooks, and would replace one set beside it."""
    hooks: list[object] = []
    decorators = types.SimpleNamespace(postfork=hooks.append)
    monkeypatch.setitem(sys.modules, "uwsgidecorators", decorators)
    make_handler()
    assert len(hooks) == 1
    assert not hasattr(uwsgi, "post_fork_hook")


def test_a_module_that_is_called_celery_signals_harms_nothing(
    make_handler: MakeHandler,
    wire: Wire,
    plane: LocalDataPlane,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who knows what goes by that name."""
    monkeypatch.setattr(exits, "_finalized_in", None)
    monkeypatch.setitem(sys.modules, "celery.signals", types.SimpleNamespace())
    handler = make_handler()
    wire(handler).info("e", extra={"rudder": {"user_id": "u"}})
    assert handler.flush()
    assert len(plane.events) == 1


def test_who_asks_for_handlers_meets_none_that_is_being_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A set that grows while it is read raises: another thread's new handler must not do that."""

    class Forkable:
        def after_fork(self) -> None:
            """Nothing is to be done."""

    def make() -> None:
        while not ended.is_set():
            made = [Forkable() for _ in range(20)]
            for one in made:
                members.known_forkables.add(one)

    kept = [Forkable() for _ in range(50)]
    monkeypatch.setattr(members, "known_forkables", weakref.WeakSet(kept))
    ended = threading.Event()
    thread = threading.Thread(target=make)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        found = [len(members.forkables()) for _ in range(10_000)]
    finally:
        ended.set()
        thread.join()
        sys.setswitchinterval(interval)
    assert min(found) >= len(kept)
