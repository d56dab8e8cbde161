"""Data planes that refuse, fail, stay away or take their time while an app runs."""

from __future__ import annotations

from datetime import datetime, timezone

import trustme

from .stage import Stage, wait_until

__all__ = ["BAD", "POISON"]

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
    stage.run("log(range(300))", timeout=0.3)


def cut(stage: Stage, *, accepted: bool) -> None:
    """The connection is cut before an answer: with the events stored, or not."""
    stage.plane.cut(accepted=accepted)
    stage.run("log(range(100))", upload_interval=60, upload_size=1_000)


def slow(stage: Stage) -> None:
    """200 ms an answer, and a burst of thousands of events."""
    stage.plane.latency = 0.2
    stage.run("log(range(5_000))")


_UNTIL_MENDED = "log(range(100))\nuntil('go')"
_HELD = "events are held, none is lost"


def disabled(stage: Stage) -> None:
    """The source is disabled, and enabled again."""
    stage.plane.source_enabled = False
    process = stage.start_script(_UNTIL_MENDED)
    wait_until(lambda: _HELD in process.stderr, "the report")
    stage.plane.source_enabled = True
    stage.go()
    process.wait()
    assert "enable the source" in process.stderr


def wrong_key(stage: Stage) -> None:
    """The write key is not the source's, until the source gets that key."""
    right, stage.plane.write_key = stage.plane.write_key, "another"
    process = stage.start_script(_UNTIL_MENDED)
    wait_until(lambda: _HELD in process.stderr, "the report")
    stage.plane.write_key = right
    stage.go()
    process.wait()
    assert "check write_key" in process.stderr


def _serve_tls(stage: Stage, authority: trustme.CA, name: str, ends: datetime | None) -> None:
    """Serve HTTPS from now on, with a certificate for a name that ends at some time."""
    paths = [str(stage.directory / f"{name}.{part}") for part in ("cert", "key")]
    certificate = authority.issue_cert(name, not_after=ends)
    certificate.cert_chain_pems[0].write_to_path(paths[0])
    certificate.private_key_pem.write_to_path(paths[1])
    stage.replace_plane(certfile=paths[0], keyfile=paths[1])


def _mended_certificate(stage: Stage, name: str, ends: datetime | None, words: str) -> None:
    authority = trustme.CA()
    bundle = stage.directory / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    _serve_tls(stage, authority, name, ends)
    process = stage.start_script(_UNTIL_MENDED, ca_bundle=bundle)
    if words:
        wait_until(lambda: _HELD in process.stderr, "the report")
        assert words in process.stderr
        _serve_tls(stage, authority, "127.0.0.1", None)
    stage.go()
    process.wait()


def private_authority(stage: Stage) -> None:
    """The certificate is signed by an authority that only `ca_bundle` names."""
    _mended_certificate(stage, "127.0.0.1", None, "")


def expired(stage: Stage) -> None:
    """The certificate has expired, and is replaced."""
    _mended_certificate(
        stage, "127.0.0.1", datetime(2021, 1, 1, tzinfo=timezone.utc), "certificate has expired"
    )


def wrong_host(stage: Stage) -> None:
    """The certificate is another host's, and is replaced."""
    _mended_certificate(stage, "example.com", None, "mismatch")
