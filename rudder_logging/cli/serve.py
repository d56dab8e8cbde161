"""`rudder-logging serve`: the local data plane, with a page that shows what arrives."""

from __future__ import annotations

import errno
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..common.hosts import is_loopback
from ..common.printable import printable_json
from ..config import parsers
from ..exceptions import ConfigError
from .common import FILE, BadInputError, load_plan, on_signals

if TYPE_CHECKING:
    from ..checks.plan import TrackingPlan
    from ..dataplane.live import LivePlane

__all__ = ["serve"]

_PERIOD = 0.1
"""Seconds between two looks for events to print."""

_UNITS = {"s": 1.0, "ms": 0.001}
_SIZES = {"": 1, "b": 1, "kb": 1024, "mb": 1024 * 1024}  # the gateway's own kB has 1,024
_LONGEST_LATENCY = 600
_LARGEST_LIMIT = 1000 * 1024 * 1024


def _share(text: str) -> tuple[int, float]:
    status, colon, share = text.partition(":")
    try:
        found = int(status), float(share if colon else "1")
    except ValueError:
        raise ValueError(f"must be STATUS or STATUS:SHARE, like 503:0.2; not {text!r}") from None
    if not 400 <= found[0] <= 599:  # noqa: PLR2004 - HTTP's own
        raise ValueError(f"must have a status from 400 to 599, not {status}")
    if not 0 <= found[1] <= 1:
        raise ValueError(f"must have a share of the requests from 0 to 1, not {share}")
    return found


def _latency(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", text.strip().lower())
    seconds = float(match[1]) * _UNITS[match[2]] if match else -1
    if not 0 <= seconds <= _LONGEST_LATENCY:
        wanted = f"must be up to {_LONGEST_LATENCY}s, with its unit, like 200ms or 1.5s"
        raise ValueError(f"{wanted}; not {text!r}")
    return seconds


def _size(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(b|kb|mb|)", text.strip().lower())
    size = float(match[1]) * _SIZES[match[2]] if match else 0
    if not 1 <= size <= _LARGEST_LIMIT:
        raise ValueError(f"must be up to 1000mb, like 100kb or 4mb; not {text!r}")
    return int(size)


def _read(
    parse: Callable[[str], Any], _ctx: click.Context, param: click.Parameter, text: Any
) -> Any:
    """Parse a flag's text, in click's own way of refusing it."""
    if text is None:
        return None
    try:
        return [parse(each) for each in text] if isinstance(text, tuple) else parse(text)
    except ValueError as error:
        raise BadInputError(f"{param.opts[0]} {error}") from None


@click.command(
    epilog="""\b
Examples:
  rudder-logging serve
  rudder-logging serve --fail 503:0.2 --latency 200ms
  rudder-logging serve --plan plan.json --json > events.jsonl
"""
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. Beyond loopback, anybody who reaches it reads what it received.",
)
@click.option(
    "--port",
    metavar="PORT",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="0: a free one.",
)
@click.option(
    "--write-key",
    metavar="KEY",
    callback=partial(_read, parsers.write_key),
    help="The only key to accept. Left out, any will do.",
)
@click.option(
    "--fail",
    "shares",
    multiple=True,
    metavar="STATUS[:SHARE]",
    callback=partial(_read, _share),
    help="Answer requests with a status: 503 all, 503:0.2 every fifth. May be repeated.",
)
@click.option(
    "--latency",
    metavar="TIME",
    callback=partial(_read, _latency),
    help="Wait before each answer: 200ms, 1.5s. The unit is needed.",
)
@click.option(
    "--limit",
    metavar="SIZE",
    callback=partial(_read, _size),
    help="Refuse larger bodies with 413: 100kb. The gateway's own limit is 4000kb.",
)
@click.option(
    "--dialect",
    metavar="VERSION",
    help="Answer in the words of a rudder-server: 1.45, or, by default, 1.66.",
)
@click.option(
    "--plan",
    "plan_path",
    metavar="FILE",
    type=FILE,
    help="Hold events to a tracking plan. Needs the extra `plan`.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print each event as a line of JSON, for `replay` or a pipe.",
)
def serve(
    host: str,
    port: int,
    write_key: str | None,
    shares: list[tuple[int, float]],
    latency: float | None,
    limit: int | None,
    dialect: str | None,
    plan_path: str | None,
    as_json: bool,
) -> None:
    """Run a data plane on this machine, with a live page.

    It answers as RudderStack's gateway does, pixels, beacons and browsers included, and sends
    nothing anywhere. Its page shows the last 10,000 events, as they arrive. Point an app at it with
    RUDDER_DATA_PLANE_URL. Ctrl-C ends it.
    """
    if not host:
        raise BadInputError("--host is empty; give an address of this machine")
    if len({status for status, _ in shares}) < len(shares):
        raise BadInputError("--fail names a status twice; give it once")
    plane = _plane(host, port, write_key, load_plan(plan_path))
    if dialect is not None:
        try:
            plane.dialect = dialect
        except ConfigError as error:
            raise BadInputError(f"--{error}") from None
    try:
        plane.fail_at_random(dict(shares))
    except ValueError as error:
        raise BadInputError(f"--fail: {error}") from None
    plane.latency = latency or 0.0
    plane.max_request_bytes = limit or plane.max_request_bytes
    with _ended() as ended, _listening(plane, host, port):
        say = partial(click.echo, err=as_json)
        _greet(plane, host, write_key, say)
        if as_json:
            _print(plane, ended)
        else:
            while not ended.wait(1):  # without an end, Windows would not hear Ctrl-C
                pass
    feed = plane.feed
    click.echo(
        f"{feed.events_seen:,} events stored; {feed.refusals_seen:,} of "
        f"{feed.requests_seen:,} requests refused",
        err=as_json,
    )


def _plane(host: str, port: int, write_key: str | None, plan: TrackingPlan | None) -> LivePlane:
    try:
        from ..dataplane.live import LivePlane  # noqa: PLC0415 - needs another extra
    except ImportError:
        extra = "pip install 'rudder-logging[cli,dataplane]'"
        raise BadInputError(f"serve needs an extra: {extra}") from None
    return LivePlane(write_key, port, host=host, plan=plan)


@contextmanager
def _ended() -> Iterator[threading.Event]:
    """Set by Ctrl-C and by SIGTERM, which both end a server well; the second time, at once."""
    ended = threading.Event()

    def end(*_: object) -> None:
        if ended.is_set():  # and nobody reads what is to be printed still
            raise KeyboardInterrupt
        ended.set()

    with on_signals(end):
        yield ended


@contextmanager
def _listening(plane: LivePlane, host: str, port: int) -> Iterator[None]:
    try:
        plane.start()
    except socket.gaierror:
        raise BadInputError(f"--host: {host!r} is no address of this machine") from None
    except OSError as error:
        raise BadInputError(_why_not(error, host, port)) from None
    try:
        yield
    finally:
        plane.stop()


def _why_not(error: OSError, host: str, port: int) -> str:
    words: Mapping[int | None, str] = {
        errno.EADDRINUSE: f"port {port} is taken; end what listens there, or give another --port",
        errno.EACCES: f"port {port} is not for this user; give a --port over 1023",
        errno.EADDRNOTAVAIL: f"--host: {host!r} is no address of this machine",
    }
    return words.get(error.errno, f"can't listen at {host}, port {port}: {error.strerror}")


def _greet(plane: LivePlane, host: str, write_key: str | None, say: Callable[[str], None]) -> None:
    from ..dataplane.live import DEFAULT_KEY  # noqa: PLC0415 - as above

    url = plane.url
    if host in ("0.0.0.0", "::"):  # noqa: S104 - to say what it means
        url = url.replace(host if host != "::" else "[::]", "localhost")
    say(f"The page: {url}/")
    shown = "the one given" if write_key else "any"
    say(f"Accepts {shown} write key. To send events here, set in an app's environment:")
    say(f"  RUDDER_DATA_PLANE_URL={url} RUDDER_WRITE_KEY={'...' if write_key else DEFAULT_KEY}")
    if not is_loopback(host):
        click.echo("Warning: anybody who reaches this machine can read what arrives", err=True)
    say("Ctrl-C ends it.")


def _print(plane: LivePlane, ended: threading.Event) -> None:
    """Events as lines, until the end; what came before that is printed still."""
    place = lost = 0
    is_over = False
    while not is_over:
        is_over = ended.wait(_PERIOD)
        is_last = False
        while not is_last:
            batch = plane.feed.after(place)
            lost += batch.skipped
            place, is_last = batch.next, batch.is_last
            messages = (entry.message for entry in batch.entries if entry.message)
            _write(b"".join(printable_json(one.encode()) + b"\n" for one in messages))
    if lost:
        click.echo(f"Warning: {lost:,} events came too fast to be printed", err=True)


def _write(lines: bytes) -> None:
    """Past Python's buffers, which would be written at exit, and keep it, if nobody reads them."""
    rest = memoryview(lines)
    while rest:
        rest = rest[os.write(sys.stdout.fileno(), rest) :]
