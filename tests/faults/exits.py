"""Ends of processes: by themselves, by signals, with a server that is not well."""

from __future__ import annotations

import signal
from typing import Any

from .stage import PRELUDE, Stage

LOST = "rudder_logging: {} events were not delivered before the process ended[^\n]*\n"
"""The one line on stderr."""


def script_ends(stage: Stage) -> None:
    """The script's last line is a log call."""
    stage.run("log(range(500))")


def official_calls(stage: Stage) -> None:
    """The seven calls' own handler; the ids that they return are those that arrive."""
    prelude = """
from tests.faults.child import note
import rudder_logging as rudder_analytics
"""
    stage.run(
        """
        for n in range(100):
            note("id", n, rudder_analytics.track("u", "Tested", {"n": n}))
            note("logged", n)
        """,
        prelude,
    )
    returned = {line.details for line in stage.noted("id")}
    arrived = {(event["properties"]["n"], event["messageId"]) for event in stage.plane.events}
    assert returned == arrived


def sys_exit(stage: Stage) -> None:
    """The script ends by sys.exit."""
    stage.run("log(range(500))\nsys.exit(3)", code=3)


def neighbours_whose_end_fails(stage: Stage) -> None:
    """Handlers whose queue, an object of the app's, raises at their end take no other's away."""
    stage.plane.latency = 0.3
    stage.run(
        """
        from rudder_logging import RudderHandler
        from rudder_logging.queues import MemoryQueue

        class Odd(MemoryQueue):
            def abandon(self):
                raise TypeError("secret")

        others = []
        for n in range(9):
            queue = Odd(max_events=10, max_bytes=1_000)
            others.append(RudderHandler("k", "http://127.0.0.1:9", queue=queue, shutdown_timeout=1))
        log(range(500))
        """,
        says="(delivery failed with TypeError\n){9}",
    )


def unhandled_exception(stage: Stage) -> None:
    """The script ends by an exception."""
    stage.run(
        "log(range(500))\nraise RuntimeError('a bug')", code=1, says=".*RuntimeError: a bug\n"
    )


def other_thread(stage: Stage) -> None:
    """The main thread ends first."""
    stage.run("log(range(100))\nthreading.Thread(target=log, args=(range(100, 500),)).start()")


def daemon_thread(stage: Stage) -> None:
    """What a daemon thread has logged stays logged when it is ended amidst its work."""
    stage.run(
        """
        def work():
            log(range(500))
            done.set()
            time.sleep(60)
        done = threading.Event()
        threading.Thread(target=work, daemon=True).start()
        done.wait()
        """
    )


def flush_then_os_exit(stage: Stage) -> None:
    """os._exit runs no hook; what was flushed before is in."""
    stage.run("log(range(500))\nassert handler.flush()\nos._exit(0)")


def logging_shutdown(stage: Stage) -> None:
    """logging.shutdown closes the handler while a batch is in flight; then there is more."""
    stage.plane.latency = 0.2
    stage.run(
        """
        log(range(250))
        logging.shutdown()
        log(range(250, 500))
        """
    )


def forgotten_handler(stage: Stage) -> None:
    """The handler is taken off and forgotten, without being closed."""
    script = """
        handler = RudderHandler(on_drop=on_drop)
        logger = logging.getLogger("app")
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        log(range(500))
        del logger.handlers[:], handler
        gc.collect()
        """
    stage.run(
        script,
        PRELUDE.replace("handler = wire()", "import gc\nfrom rudder_logging import RudderHandler"),
    )


def interrupt(stage: Stage) -> None:
    """Ctrl-C, with Python's own handler."""
    process = stage.start_script(
        """
        log(range(500))
        note("ready")
        while True:  # signal.pause() would sleep through a signal that comes just before it
            time.sleep(0.05)
        """
    )
    stage.wait_for_note("ready")
    process.signal(signal.SIGINT)
    process.wait(-signal.SIGINT)
    assert "KeyboardInterrupt" in process.stderr
    assert "rudder_logging:" not in process.stderr


def terminate_and_exit(stage: Stage) -> None:
    """SIGTERM to an app whose handler logs and calls sys.exit."""
    process = stage.start_script(
        """
        def leave(number, frame):
            log(range(400, 500))
            sys.exit(0)
        signal.signal(signal.SIGTERM, leave)
        log(range(400))
        note("ready")
        while True:
            time.sleep(0.05)
        """
    )
    stage.wait_for_note("ready")
    process.signal(signal.SIGTERM)
    process.wait()


def terminate_by_flag(stage: Stage) -> None:
    """SIGTERM to an app whose handler sets a flag that its loop looks at."""
    process = stage.start_script(
        """
        ending = []
        signal.signal(signal.SIGTERM, lambda *args: ending.append(True))
        log(range(400))
        note("ready")
        while not ending:
            time.sleep(0.01)
        log(range(400, 500))
        """
    )
    stage.wait_for_note("ready")
    process.signal(signal.SIGTERM)
    process.wait()


PATCH = "from gevent import monkey\nmonkey.patch_all()\n"


def terminate(stage: Stage, *, first: str = "", **options: Any) -> None:
    """SIGTERM to a script that leaves it at its default action; that is how it ends, too."""
    process = stage.start_script(
        """
        log(range(21))
        note("ready")
        while True:
            time.sleep(0.05)
        """,
        first + PRELUDE,
        strict=not first,
        upload_interval=60,
        **options,
    )
    stage.wait_for_note("ready")
    process.signal(signal.SIGTERM)
    process.wait(-signal.SIGTERM)
    assert process.stderr == ""


def terminate_amid_call(stage: Stage) -> None:
    """SIGTERM, twice, while the main thread is inside a log call: that event leaves, too."""
    prelude = """
import os, signal
def end(message):
    if message["properties"]["n"] == 20:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
    return message
"""
    process = stage.start_script(
        """
        log(range(20))
        note("logged", 20)
        event = {"user_id": "u", "properties": {"n": 20}}
        logging.getLogger("app").info("Tested", extra={"rudder": event})
        until("never")
        """,
        prelude + PRELUDE.replace("wire()", "wire(before_send=end)"),
        upload_interval=60,
        drain_on_sigterm=True,
    )
    process.wait(-signal.SIGTERM)
    assert process.stderr == ""


def terminate_amid_logging(stage: Stage) -> None:
    """The signal comes while the main thread makes a logger, and holds logging's own lock."""
    process = stage.start_script(
        """
        import os, signal
        class Ending(logging.Logger):
            def __init__(self, name):
                super().__init__(name)
                os.kill(os.getpid(), signal.SIGTERM)
        log(range(21))
        logging.setLoggerClass(Ending)
        logging.getLogger("made")
        until("never")
        """,
        upload_interval=60,
        drain_on_sigterm=True,
    )
    process.wait(-signal.SIGTERM)
    assert process.stderr == ""


def terminate_child(stage: Stage) -> None:
    """A forked child has the parent's signal handler, and a queue of its own."""
    stage.run(
        """
        log(range(10))
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            log(range(10, 30))
            os.write(writer, b"ready")
            while True:
                time.sleep(0.05)
        os.read(reader, 5)
        os.kill(child, signal.SIGTERM)
        assert os.waitpid(child, 0)[1] == signal.SIGTERM
        """,
        "import warnings\nwarnings.simplefilter('ignore', DeprecationWarning)\n" + PRELUDE,
        upload_interval=60,
        drain_on_sigterm=True,
    )


def exit_hooks(stage: Stage) -> None:
    """Hooks of atexit, registered before and after the package was imported."""
    stage.run(
        "atexit.register(log, range(20, 30))\nlog(range(10))",
        "import atexit\natexit.register(lambda: log(range(10, 20)))\n" + PRELUDE,
    )


def exit_hook_when_time_is_over(stage: Stage) -> None:
    """A hook that runs after our own and takes longer than `shutdown_timeout`; the server is well,
    but no faster than over the sea.
    """
    stage.plane.latency = 0.2
    hook = """
import atexit, time
def late():
    from rudder_logging.process import ending
    while time.monotonic() < ending.since + 1.5:
        time.sleep(0.01)
    log(range(10, 13))
atexit.register(late)
"""
    stage.run("log(range(10))\nhandler.flush()", hook + PRELUDE, shutdown_timeout=1.5)


def exit_hook_without_server(stage: Stage) -> None:
    """A hook that runs after our own; the time for the server to return has passed by then."""
    stage.plane.stop()
    hook = "import atexit\natexit.register(lambda: log(range(10, 11)))\n"
    stage.run(
        "log(range(10))",
        hook + PRELUDE,
        says=LOST.format(10) + LOST.format(1),
        shutdown_timeout=0.3,
    )


def deleted_at_shutdown(stage: Stage) -> None:
    """An object that logs in its `__del__`, when the interpreter takes modules apart."""
    stage.run(
        """
        class Late:
            def __del__(self, log=log):
                log([10])
        late = Late()
        log(range(10))
        """,
        says=LOST.format(1),
    )


def deleted_when_threads_are_gone(stage: Stage, *, says: str) -> None:
    """The same, after a daemon thread was ended amid its use of the queue."""
    stage.run(
        """
        class Late:
            def __del__(self, log=log):
                log([10])
        sys.modules["late"] = module = types.ModuleType("late")
        module.late = Late()
        log(range(10))
        """,
        """
import atexit, threading, time, types
def use_the_queue():
    queue = handler._pipeline.queue
    with queue._lock:
        queue._is_busy = True
        used.set()
        time.sleep(60)
used = threading.Event()
def at_last():  # after the hook of the package, which is not what it is about
    threading.Thread(target=use_the_queue, daemon=True).start()
    used.wait()
if sys.version_info >= (3, 12):  # from then on, no thread starts in such a hook
    started = threading.Event()
    def wait_and_use():
        started.wait()
        use_the_queue()
    def at_last():
        started.set()
        used.wait()
atexit.register(at_last)
""".replace("import atexit", "import atexit, sys")
        + PRELUDE
        + "if sys.version_info >= (3, 12):\n"
        "    threading.Thread(target=wait_and_use, daemon=True).start()\n",
        says=says,
        strict=False,
    )


def memory_handler(stage: Stage, *, first: str) -> None:
    """Logging's MemoryHandler, which logging.shutdown flushes after our exit hook: in few uploads,
    not one for each record.
    """
    makes = {
        "handler": "handler = wire()\nbuffer = MemoryHandler(1_000, 100, handler)",
        "buffer": "buffer = MemoryHandler(1_000, 100)\nbuffer.setTarget(handler := wire())",
    }
    stage.plane.latency = 0.2
    stage.run(
        """
        logging.getLogger("app").handlers[:] = [buffer]
        log(range(400))
        """,
        "import tests.faults.child  # before logging: its hook tells what the ledger has at last\n"
        + PRELUDE.replace(
            "handler = wire()", f"from logging.handlers import MemoryHandler\n{makes[first]}"
        ),
    )
    assert len(stage.plane.requests) < 40


def many_handlers(stage: Stage) -> None:
    """Nobody listens; each of twenty handlers has an event. That is one line."""
    stage.plane.stop()
    stage.run(
        """
        for number in range(20):
            wire(f"app{number}")
            log([number], f"app{number}")
        """,
        PRELUDE.replace("handler = wire()", ""),
        says=LOST.format(20),
        shutdown_timeout=0.3,
    )


def _at_the_end_of_patience(stage: Stage, script: str = "log(range(50))") -> None:
    patience = 0.5
    ended = stage.run(
        f"{script}\nnote('ending', time.monotonic())",
        says=LOST.format(50),
        shutdown_timeout=patience,
    )
    (note,) = stage.noted("ending")
    assert ended - note.details[0] < patience + 8  # it would be ten without


def server_down(stage: Stage) -> None:
    """Nobody listens there."""
    stage.plane.stop()
    _at_the_end_of_patience(stage)


def server_hangs(stage: Stage) -> None:
    """It takes the request and never answers."""
    stage.plane.hang(times=None)
    _at_the_end_of_patience(stage)


def server_fails(stage: Stage) -> None:
    """It answers 503 to everything."""
    stage.plane.overloaded = True
    _at_the_end_of_patience(stage)


def server_returns(stage: Stage) -> None:
    """It is down when the script's last line has run, and up again within shutdown_timeout."""
    stage.plane.stop()
    process = stage.start_script("log(range(50))\nnote('ending')")
    stage.wait_for_note("ending")
    stage.plane.start()
    process.wait()
    assert process.stderr == ""
