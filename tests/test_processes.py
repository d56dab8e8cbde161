"""Ends of processes, forks and threads, each in a real process."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from time import monotonic

import pytest

from rudder_logging.dataplane import LocalDataPlane

from .conftest import WRITE_KEY

pytestmark = pytest.mark.slow

PRELUDE = """
import logging, os, sys, threading
from rudder_logging import RudderHandler
import rudder_logging
handler = RudderHandler(shutdown_timeout=float(os.environ.get("PATIENCE", "10")))
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
def log(*numbers):
    for number in numbers:
        logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": number}}})
"""


def run(
    plane: LocalDataPlane, script: str, *, patience: float = 10
) -> subprocess.CompletedProcess[str]:
    """Run a script that has `log` in a process of its own."""
    environment = {
        **os.environ,
        "RUDDER_WRITE_KEY": WRITE_KEY,
        "RUDDER_DATA_PLANE_URL": plane.url,
        "PATIENCE": str(patience),
    }
    return subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", PRELUDE + textwrap.dedent(script)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def numbers(plane: LocalDataPlane) -> list[int]:
    """The numbers of the events that arrived."""
    return [event["properties"]["n"] for event in plane.events]


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError", 1),
        ("threading.Thread(target=log, args=range(500, 600)).start()", 0),
        ("logging.shutdown()", 0),
        ("import atexit; atexit.register(log, 500)", 0),
        ("del logger.handlers[:], handler; import gc; gc.collect()", 0),
    ],
)
def test_a_script_that_just_ends_loses_nothing(
    plane: LocalDataPlane, ending: str, code: int
) -> None:
    """Without flush or close, at whatever end, all events are delivered."""
    done = run(plane, f"log(*range(500))\n{ending}\n")
    assert done.returncode == code
    extra = range(500, 600) if "Thread" in ending else [500] if "atexit" in ending else []
    assert sorted(numbers(plane)) == [*range(500), *extra]
    assert "rudder_logging:" not in done.stderr
    if code == 0:
        assert done.stderr == ""


def test_an_event_at_the_very_end_is_sent_from_the_calling_thread(plane: LocalDataPlane) -> None:
    """After our own exit hook no thread can be relied on (from 3.12 none can start)."""
    done = run(
        plane,
        """
        import atexit, weakref
        hooks = []
        class Late(logging.Handler):
            def emit(self, record): pass
            def close(self):
                log(1)
                super().close()
        late = Late()  # logging.shutdown() closes it after our hook has run
        log(0)
        """,
    )
    assert done.stderr == ""
    assert numbers(plane) == [0, 1]


def test_an_event_too_late_to_be_sent_is_dropped_and_told(plane: LocalDataPlane) -> None:
    """While the interpreter takes modules apart, requests can't work: it would send, and then fail
    to read the answer. Such an event is dropped, in our words, not in a traceback.
    """
    late = """
    class Late:
        def __del__(self, log=log):
            log(1)
    late = Late()
    """
    done = run(plane, late)
    assert done.stderr == "rudder_logging: 1 events were not delivered before the process ended\n"
    assert numbers(plane) == []


@pytest.mark.parametrize("fault", ["down", "failing", "hanging", "refusing the key"])
def test_a_server_that_is_not_well_does_not_keep_the_process(
    plane: LocalDataPlane, fault: str
) -> None:
    """The process ends within shutdown_timeout and a second, and says in one line what is lost."""
    if fault == "failing":
        plane.fail(503, times=None)
    elif fault == "hanging":
        plane.hang(times=None)
    elif fault == "refusing the key":
        plane.source_enabled = False
    script = """
        from time import monotonic
        import atexit
        atexit.register(lambda: None)
        log(*range(5))
        print(monotonic())
        """
    if fault == "down":
        script = "handler.config.__dict__\n" + textwrap.dedent(script)
        with LocalDataPlane(WRITE_KEY) as gone:
            pass
        done = run(gone, script, patience=0.5)
    else:
        done = run(plane, script, patience=0.5)
    took = monotonic() - float(done.stdout)
    assert took < 0.5 + 8  # it would be ten without
    (line,) = [line for line in done.stderr.splitlines() if "not delivered" in line]
    assert line.startswith("rudder_logging: 5 events were not delivered before the process ended")
    assert ("disabled" in line) is (fault == "refusing the key")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_starts_anew(plane: LocalDataPlane) -> None:
    """A child logs at once and delivers before it ends; the parent's backlog is the parent's."""
    done = run(
        plane,
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: just what we test
        handler._listener._upload_interval = 60
        log(*range(10))
        with handler.lock:
            child = os.fork()
        if child == 0:
            with handler.lock:
                log(*range(100, 110))
            assert handler.stats().accepted == 10
            sys.exit(0)
        log(*range(10, 20))
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert done.stderr == ""
    arrived = numbers(plane)
    assert sorted(arrived) == [*range(20), *range(100, 110)]
    assert [n for n in arrived if n < 100] == list(range(20))
    ids = [event["messageId"] for event in plane.events]
    assert len(set(ids)) == len(ids)


@pytest.mark.skipif(
    not hasattr(os, "fork") or sys.version_info >= (3, 12),
    reason="no fork on this system, or not in an exit hook",
)
def test_a_child_that_an_exit_hook_forks_has_time_of_its_own(plane: LocalDataPlane) -> None:
    """The parent's time to end, long over, is not the child's."""
    plane.latency = 0.2
    done = run(
        plane,
        """
        import time
        class Late(logging.Handler):
            def emit(self, record): pass
            def close(self):
                time.sleep(0.8)
                child = os.fork()
                if child == 0:
                    log(1, 2, 3)
                    assert handler.flush(10)
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
                super().close()
        late = Late()  # logging.shutdown() closes it after our hook has run
        log(0)
        """,
        patience=0.8,
    )
    assert done.stderr == ""
    assert numbers(plane) == [0, 1, 2, 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_forked_child_may_patch_with_gevent_before_its_first_event(plane: LocalDataPlane) -> None:
    """So do gunicorn's gevent workers when the app is preloaded: no greenlet may then wait for a
    lock that gevent doesn't know.
    """
    done = run(
        plane,
        """
        import warnings
        log(0)
        warnings.simplefilter("ignore")  # fork with threads, patching after imports: what we test
        child = os.fork()
        if child == 0:
            from gevent import monkey, spawn, joinall
            monkey.patch_all()
            joinall([spawn(log, n) for n in range(1, 100)])
            assert handler.flush()
            assert handler.stats().delivered == 99
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert done.stderr == ""
    assert sorted(numbers(plane)) == list(range(100))


def test_a_handler_may_be_closed_when_no_thread_can_be_joined(plane: LocalDataPlane) -> None:
    """Python 3.14 raises where older ones wait in vain: as the interpreter ends.

    The thread is still there, because it waits for an answer that never comes.
    """
    plane.hang(times=None)
    done = run(
        plane,
        """
        import types
        # In a module of its own: what `threading` refers to outlives the finalizers.
        module = types.ModuleType("older")
        exec(
            "import sys, threading\\n"
            "join = threading.Thread.join\\n"
            "def join_or_raise(thread, timeout=None):\\n"
            "    if sys.is_finalizing():\\n"
            "        raise RuntimeError('cannot join thread at Python shutdown')\\n"
            "    join(thread, timeout)\\n"
            "threading.Thread.join = join_or_raise\\n",
            vars(module),
        )
        class Last:
            handler = logger.handlers[0]
            write = staticmethod(os.write)
            is_finalizing = staticmethod(sys.is_finalizing)
            def __del__(self):
                assert self.is_finalizing()
                self.handler.close()
                self.write(1, b"closed")
        last = Last()
        log(0)
        """,
        patience=1,
    )
    assert (done.returncode, done.stdout) == (0, "closed")
    assert "cannot join" not in done.stderr
    assert "1 event" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("error", ["KeyboardInterrupt", "OSError"])
def test_a_childs_first_event_may_be_interrupted(plane: LocalDataPlane, error: str) -> None:
    """Whatever comes between a child and its own queue: no event is counted that was not taken."""
    done = run(
        plane,
        f"""
        import contextlib
        from rudder_logging.queues import MemoryQueue
        class Queue(MemoryQueue):
            attached = 0
            def attach(self, observer):
                self.attached += 1
                if self.attached == 2:
                    raise {error}
        handler = logger.handlers[0] = RudderHandler(queue=Queue(max_events=10, max_bytes=10_000))
        child = os.fork()
        if child == 0:
            logging.raiseExceptions = False
            with contextlib.suppress(KeyboardInterrupt):
                log(0)
            log(1)
            assert handler.flush()
            stats = handler.stats()
            assert stats.balanced and (stats.accepted, stats.dropped) == (1, {{}}), stats
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
    )
    assert done.stderr == ""
    assert numbers(plane) == [1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_signal_handler_may_log_amid_a_childs_first_event(plane: LocalDataPlane) -> None:
    """At whichever call of ours it comes: both events are in one ledger, which balances."""
    done = run(
        plane,
        """
        import warnings
        from rudder_logging.process import members
        from rudder_logging.queues import MemoryQueue
        warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: just what we test

        class Queue(MemoryQueue):
            def attach(self, observer):
                self.observer = observer

        queue = Queue(max_events=10, max_bytes=10_000)
        handler = logger.handlers[0] = RudderHandler(queue=queue)
        log(0)

        class Interruption:  # CPython runs signal handlers as a function in Python begins
            def __init__(self, position):
                self.left = position

            def __call__(self, frame, event, _argument):
                if event == "call" and frame.f_globals.get("__name__", "").startswith(PARTS):
                    self.left -= 1
                    if not self.left:
                        sys.setprofile(None)
                        log(2)

        PARTS = ("rudder_logging.handler", "rudder_logging.process")

        def first_event(position):
            interruption = Interruption(position)
            sys.setprofile(interruption)
            log(1)
            sys.setprofile(None)
            if interruption.left > 0:
                os._exit(1)  # it has no more calls than that
            assert handler.flush()
            stats = handler.stats()
            assert stats.balanced and stats.delivered == 2, stats
            used = [one for one in members.listeners() if not one.unattended]
            assert used == [handler._listener], used
            assert queue.observer is handler._pipeline.reports
            os._exit(0)

        for position in range(1, 1_000):
            child = os.fork()
            if not child:
                try:
                    first_event(position)
                finally:
                    os._exit(2)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if status:
                break
        assert (status, position > 10) == (1, True), (status, position)
        """,
    )
    assert done.stderr == ""
    assert set(numbers(plane)) == {0, 1, 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_may_log_while_its_handler_is_collected(plane: LocalDataPlane) -> None:
    """An object that has a handler of its own says goodbye while it is collected."""
    done = run(
        plane,
        """
        import gc
        class Client:
            def __init__(self):
                self.logger = logging.Logger("client")
                self.logger.addHandler(RudderHandler())
                self.me = self
            def __del__(self):
                self.logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": 7}}})
        client = Client()
        child = os.fork()
        if child == 0:
            del client
            gc.collect()
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
        os._exit(0)  # the parent's would say so, too
        """,
    )
    assert done.stderr == ""
    assert numbers(plane) == [7]


MULTIPROCESSING = """
import logging, multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from rudder_logging import RudderHandler

def log(number):
    logger = logging.getLogger("app")
    if not logger.handlers:  # a spawned child begins from nothing
        logger.setLevel(logging.INFO)
        logger.addHandler(RudderHandler())
    logger.info("e", extra={"rudder": {"user_id": "u", "properties": {"n": number}}})

if __name__ == "__main__":
    method, kind = sys.argv[1:]
    log(0)
    context = multiprocessing.get_context(method)
    if kind == "process":
        children = [context.Process(target=log, args=(n,)) for n in (1, 2, 3)]
        for child in children: child.start()
        for child in children: child.join()
    else:
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(log, range(1, 21)))
"""


@pytest.mark.parametrize("kind", ["process", "pool"])
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_multiprocessing_children_deliver_before_they_end(
    plane: LocalDataPlane, tmp_path: Path, method: str, kind: str
) -> None:
    """They end by os._exit, without exit hooks and without a flush; nothing is lost or doubled."""
    script = tmp_path / "script.py"
    script.write_text(MULTIPROCESSING)
    environment = {
        **os.environ,
        "RUDDER_WRITE_KEY": WRITE_KEY,
        "RUDDER_DATA_PLANE_URL": plane.url,
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(script), method, kind],
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(numbers(plane)) == list(range(4 if kind == "process" else 21))


def test_missing_extra_says_how_to_install_it() -> None:
    """Without h11, the local data plane names the pip command."""
    blocked = "import sys; sys.modules['h11'] = None; import rudder_logging.dataplane"
    done = subprocess.run(
        [sys.executable, "-c", blocked], capture_output=True, text=True, check=False
    )
    assert "pip install 'rudder-logging[dataplane]'" in done.stderr


def test_importing_the_package_is_cheap() -> None:
    """Requests is imported when a handler is made, not with the package; h11 never is."""
    code = (
        "import sys, rudder_logging\n"
        "heavy = {'requests', 'urllib3', 'h11', 'asyncio'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "rudder_logging.RudderHandler('k', 'http://127.0.0.1:9')\n"
        "assert 'requests' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(os.name != "posix", reason="descriptors as POSIX has them")
@pytest.mark.parametrize("when", ["from the beginning", "later"])
def test_without_stderr_nothing_is_written_where_it_was(tmp_path: Path, when: str) -> None:
    """A daemon may have none. The line about what is lost does not go to stdout instead, nor into a
    file of the app's that was given stderr's number.
    """
    files = [str(tmp_path / "one"), str(tmp_path / "two")]  # the number is free for the first
    script = f"files = [open(name, 'w') for name in {files!r}]\nlog(1)\nprint('all')"
    redirect = "2>&-" if when == "from the beginning" else ""
    if when == "later":
        script = f"os.close(2)\n{script}\nassert files[0].fileno() == 2"
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirect}', sys.executable, PRELUDE + script],
        env={
            **os.environ,
            "RUDDER_WRITE_KEY": WRITE_KEY,
            "RUDDER_DATA_PLANE_URL": "http://127.0.0.1:1",
            "PATIENCE": "0.1",
        },
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "all\n", "")
    assert [Path(name).read_text() for name in files] == ["", ""]
