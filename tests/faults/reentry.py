"""Events that are logged, and flushes that are wanted, where the handler is at work already."""

from __future__ import annotations

from .stage import PRELUDE, Stage

__all__ = ["callbacks", "flush_by_callback", "inside_emit"]

_INSIDE = {
    "__del__": """
        import gc
        gc.set_threshold(20)  # each few allocations, so inside the handler's, too
        class Cycle:
            def __init__(self):
                self.me = self
            def __del__(self):
                log_next("inside")
        while log_next("outside"):
            Cycle()
        assert counts["inside"] > 50, counts
        """,
    "filter": """
        class Nosy(logging.Filter):
            is_busy = False
            def filter(self, record):
                if not self.is_busy:
                    self.is_busy = True
                    log_next("inside")
                    self.is_busy = False
                return True
        handler.addFilter(Nosy())
        while log_next("outside"):
            pass
        assert counts["inside"] > 50, counts
        """,
    "signal": """
        def on_signal(number, frame):
            if log_next("inside"):  # and only then the next one: they must not pile up
                signal.setitimer(signal.ITIMER_REAL, 0.0005)
        signal.signal(signal.SIGALRM, on_signal)
        signal.setitimer(signal.ITIMER_REAL, 0.0005)
        while log_next("outside"):
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert counts["inside"] > 50, counts
        """,
}
_NEXT = """
from collections import Counter
counts = Counter()
numbers = iter(range(3000))
def log_next(whence):
    for number in numbers:
        counts[whence] += 1
        log([number])
        return True
"""


def inside_emit(stage: Stage, *, by: str) -> None:
    """Of 3,000 events some are logged while their thread logs another."""
    stage.run(_INSIDE[by], PRELUDE + _NEXT, upload_interval=0.01)


_CALLBACKS = """
more = iter(range(20, 100))
def fail():
    log([next(more)])
    raise RuntimeError("a bug")
def tell(event, reason):
    on_drop(event, reason)
    fail()
def edit(event):
    if event["properties"]["n"] == 19:
        fail()
    return event
options = dict(on_error=lambda error, events: fail(), on_drop=tell, before_send=edit)
"""


def callbacks(stage: Stage) -> None:
    """`on_error`, `on_drop` and `before_send` log an event and raise, for 3 + 4 + 1 events."""
    stage.plane.max_request_bytes = 10_000
    stage.run(
        """
        log(range(3), size=20_000)
        log(range(3, 20))
        assert handler.flush()
        assert handler.stats().callback_errors == 8
        """,
        PRELUDE.replace("handler = wire()", _CALLBACKS + "handler = wire(**options)"),
        says=".*callback fail raised RuntimeError.*".replace("fail", "[^ ]*"),
        upload_interval=60,
    )


def flush_by_callback(stage: Stage) -> None:
    """`on_error` flushes and closes, in the listener's own thread: neither waits for itself."""
    stage.plane.max_request_bytes = 10_000
    stage.run(
        """
        log(range(3), size=20_000)
        log(range(3, 20))
        assert handler.flush()
        """,
        PRELUDE.replace("handler = wire()", _FLUSHES + "handler = wire(on_error=on_error)"),
        says="(event [^\n]* refused[^\n]*\n){3}",
        upload_interval=60,
    )
    took = [line.details[0] for line in stage.noted("took")]
    assert len(took) == 3
    assert max(took) < 5  # each waits for ten seconds, if it does


_FLUSHES = """
def on_error(error, events):
    began = time.monotonic()
    assert threading.current_thread() is not threading.main_thread()
    assert handler.flush() is False
    handler.close()
    note("took", time.monotonic() - began)
"""
