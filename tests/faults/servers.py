"""Data planes that refuse, fail, stay away or take their time while an app runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .stage import Stage, wait_until

__all__ = ["BAD", "POISON", "held_until"]

BAD = frozenset({0, 13, 14, 50, 77, 98, 99})
"""Events that the server refuses, of a hundred."""
POISON = frozenset({3, 11})
"""Events that its database can't take, of twenty."""


def too_large_events(stage: Stage) -> None:
    """Seven of a hundred events in one upload exceed what the gateway takes."""
    stage.plane.max_request_bytes = 10_000
    stage.run(
        f"""
        for n in range(100):
            log([n], size=20_000 if n in {sorted(BAD)} else 0)
        """,
        says="(event [^\n]* refused[^\n]*\n){7}",
        upload_interval=60,
        upload_size=1_000,
    )


def poison(stage: Stage) -> None:
    """Two of twenty events are what the server's database can't take: 500, for ever."""
    stage.plane.fail_for(lambda event: event["properties"]["n"] in POISON)
    stage.run(
        "log(range(20))\nwhile not handler.flush(0.02): pass  # each ends a backoff",
        says="(event [^\n]* refused[^\n]*\n){2}",
        upload_interval=60,
        upload_size=1_000,
    )


def too_large_together(stage: Stage) -> None:
    """A limit that uploads exceed, and no event does."""
    stage.plane.max_request_bytes = 10_000
    stage.run("log(range(300))")


def rate_limit(stage: Stage) -> None:
    """429 twice, once with Retry-After."""
    stage.plane.fail(429)
    stage.plane.fail(429, retry_after=1)
    stage.run("log(range(300))")


def fails_for_a_while(stage: Stage, *, status: int) -> None:
    """The first requests are answered by a status that tells of trouble that passes."""
    stage.plane.fail(status, times=4, text="try again")
    stage.run("log(range(300))")


def outage(stage: Stage) -> None:
    """Nobody listens for a while, amidst a process's life; then somebody does again."""
    process = stage.start_script(
        """
        log(range(100))
        assert handler.flush()
        note("delivered")
        until("outage")
        log(range(100, 300))
        note("logged all")
        until("go")
        """
    )
    stage.wait_for_note("delivered")
    stage.plane.stop()
    stage.write("outage", "")
    stage.wait_for_note("logged all")
    stage.plane.start()
    stage.go()
    process.wait()
    assert process.stderr == ""


def answers_in_time_once_more(stage: Stage) -> None:
    """One request is never answered."""
    stage.plane.hang()
    stage.run("log(range(300))", timeout=3)  # seconds in which a busy machine answers the others


def cut(stage: Stage, *, accepted: bool) -> None:
    """The connection is cut before an answer: with the events stored, or not."""
    stage.plane.cut(accepted=accepted)
    stage.run("log(range(100))", upload_interval=60, upload_size=1_000)


def slow(stage: Stage) -> None:
    """200 ms an answer, and a burst of thousands of events."""
    stage.plane.latency = 0.2
    stage.run("log(range(5_000))")


def beyond_patience(
    stage: Stage, *, events: int, size: int, bytes_per_second: float, seconds_per_event: float
) -> None:
    """All that waits takes the way there, or its database, longer than a gateway has patience."""
    upstream = stage.plane.url.removeprefix("http://")
    port = stage.start_gate("slow", upstream, str(bytes_per_second), str(seconds_per_event))
    stage.run(
        f"log(range({events}), size={size})\nassert handler.flush(28), handler.stats()",
        data_plane_url=f"http://127.0.0.1:{port}",
        upload_interval=60,
        upload_size=10_000,
        gzip=False,  # or the padding would weigh nothing
        shutdown_timeout=0,
    )


_HELD = "events are held, none is lost"


def held_until(stage: Stage, mend: Callable[[], object], words: str, **options: Any) -> None:
    """Events are held, and the report has these words, until something is mended."""
    process = stage.start_script("log(range(100))\nuntil('go')", **options)
    wait_until(lambda: _HELD in process.stderr, "the report")
    assert words in process.stderr
    mend()
    stage.go()
    process.wait()


def disabled(stage: Stage) -> None:
    """The source is disabled, and enabled again."""
    stage.plane.source_enabled = False
    held_until(stage, stage.plane.heal, "enable the source")


def wrong_key(stage: Stage) -> None:
    """The write key is not the source's, until the source gets that key."""
    right, stage.plane.write_key = stage.plane.write_key, "another"
    held_until(stage, lambda: setattr(stage.plane, "write_key", right), "check write_key")


def stranger(stage: Stage, *, status: int, text: str, words: str) -> None:
    """Something that is no data plane answers in its place."""
    stage.plane.fail(status, times=None, text=text)
    held_until(stage, stage.plane.heal, words)


def stale_connection(stage: Stage) -> None:
    """The kept-alive connection is cut when it is used again: one more request, and no wait."""
    process = stage.start_script(
        """
        log(range(10))
        assert handler.flush()
        waits = []
        class Waits(logging.Handler):
            def emit(self, record):
                if "retry" in record.getMessage():
                    waits.append(record)
        logging.getLogger("rudder_logging").setLevel(logging.DEBUG)
        logging.getLogger("rudder_logging").addHandler(Waits())
        for turn in range(1, 13):
            note("ready")
            until(f"go{turn}")
            log(range(10 * turn, 10 * turn + 10))
            while handler.stats().pending:
                time.sleep(0.001)
        note("end", handler.stats().requests, handler.stats().retries, len(waits))
        """,
        upload_interval=60,
        upload_size=10,
    )
    for turn in range(1, 13):
        stage.wait_for_note("ready", turn)
        stage.plane.cut(accepted=False)
        stage.write(f"go{turn}", "")
    process.wait()
    assert process.stderr == ""
    (requests, retries, waits) = stage.noted("end")[0].details
    assert (requests, retries, waits) == (1 + 12 * 2, 12, 0)
