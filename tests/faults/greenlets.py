"""gevent, patched at different moments."""

from __future__ import annotations

from .stage import PRELUDE, Stage, wait_until

__all__ = ["fork_during_an_upload", "patched_after_import", "patched_first"]

_LOG = """
import gevent
log(range(100))
gevent.joinall([gevent.spawn(log, range(n, n + 10)) for n in range(100, 500, 10)])
"""
_PATCH = "from gevent import monkey\nmonkey.patch_all()\n"


def patched_first(stage: Stage) -> None:
    """As gevent wants it: before anything is imported. The script ends without a flush."""
    stage.run(_LOG, _PATCH + PRELUDE, strict=False)


def patched_after_import(stage: Stage) -> None:
    """After the package was imported, before the handler is made."""
    prelude = PRELUDE.replace("handler =", _PATCH + "handler =")
    stage.run(_LOG, prelude, strict=False)


def fork_during_an_upload(stage: Stage) -> None:
    """All greenlets run in a forked child, too: the one that uploads is the parent's."""
    stage.plane.latency = 0.5
    process = stage.start_script(
        """
        import gevent
        log(range(100))
        while not handler.stats().requests:
            gevent.sleep(0.01)
        gevent.sleep(0.1)  # so that it waits for the answer
        child = os.fork()
        if not child:
            until("go")
            log(range(100, 110))
            sys.exit(0)
        log(range(110, 120))
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            gevent.sleep(0.01)
        assert ended[1] == 0
        """,
        _PATCH + PRELUDE,
        strict=False,
        upload_interval=0.01,
        max_batch_bytes=4_000,
        max_event_bytes=1_000,
    )
    wait_until(lambda: len(stage.plane.events) >= 110, "the parent's events")
    stage.go()
    process.wait()
    assert "Traceback" not in process.stderr
