"""More events than the queue may hold."""

from __future__ import annotations

import re

from .stage import Process, Stage, wait_until

__all__ = ["bounds_of_an_outage", "full", "full_for_a_while"]

_IN_FLIGHT = """
log([0])
note("first")
until("flying")  # which keeps the place of event 0 in the queue
log(range(1, {end}))
note("burst")
until("go")
"""


def _end_hanging(stage: Stage, process: Process) -> None:
    stage.replace_plane()
    stage.go()
    process.wait()


def full(stage: Stage, *, overflow: str, end: int) -> None:
    """The queue has 100 places; the server takes the first event and does not answer."""
    stage.plane.hang(times=None)
    process = stage.start_script(
        _IN_FLIGHT.format(end=end),
        overflow=overflow,
        block_timeout=0.02,
        max_queue_size=100,
        upload_interval=0,
    )
    stage.plane.wait_for_requests(1)
    stage.write("flying", "")
    stage.wait_for_note("burst")
    _end_hanging(stage, process)
    told = re.findall(r"dropped (\d+) events \(queue_full: \1\)", process.stderr)
    assert sum(map(int, told)) == end - 100
    assert len(told) <= 2, "the line is to be rate-limited"


def full_for_a_while(stage: Stage) -> None:
    """The caller is blocked until the server answers."""
    stage.plane.hang(times=None)
    process = stage.start_script(
        _IN_FLIGHT.format(end=250),
        overflow="block",
        block_timeout=30,
        max_queue_size=100,
        upload_interval=0,
    )
    stage.plane.wait_for_requests(1)
    stage.write("flying", "")
    stage.wait_for_note("logged", 100)
    _end_hanging(stage, process)
    assert process.stderr == ""


def bounds_of_an_outage(stage: Stage) -> None:
    """A hundred times as much is logged as `max_queue_bytes` holds: 20 events of 30 KB."""
    bound = 620_000
    stage.plane.stop()
    process = stage.start_script(
        f"""
        import resource
        def memory():
            return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        log(range(20), size=30_000)
        before = memory()
        for n in range(20, 2_000):
            log([n], size=30_000)
            assert handler.stats().pending_bytes <= {bound}
        note("grown", memory() - before)
        until("go")
        """,
        max_queue_bytes=bound,
        upload_interval=0,
    )
    wait_until(lambda: stage.noted("grown"), "all calls")
    stage.plane.start()
    stage.go()
    process.wait()
    (grown,) = stage.noted("grown")
    assert grown.details[0] < 10_000_000
    assert process.stderr.count("dropped") <= 2, "the line is to be rate-limited"
