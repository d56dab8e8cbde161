"""The flags of the relay process, and how it ends."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from ...config import Config, parse_option
from ...config.relay_urls import parse_relay_url
from ...exceptions import ConfigError
from ...handler.setup import check_files
from ...relay.feed import Feed
from ...relay.keys import WriteKey, find_keys
from ...relay.naming import NamesSource
from ...relay.process import Relay, summary
from ...relay.source import open_source
from ..common import BadInputError, ExitCode, app_around, config_options, on_signals, tell

__all__ = ["run"]

_OPTIONS = (
    "data_plane_url",
    "timeout",
    "shutdown_timeout",
    "dead_letter",
    "gzip",
    "proxies",
    "ca_bundle",
    "client_cert",
)
_ENVIRONMENT = (*_OPTIONS, "send")
_UPLOAD_BYTES = 1_000_000
"""Before compression. Eight lanes then need some 40 MB, whatever waits."""
_LINE = "%(asctime)s %(levelname)s %(source)s%(message)s"


class _Run(click.Command):
    """A command whose words are those of the group that it is in."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **more: Any,
    ) -> click.Context:
        """See click."""
        if parent is not None:
            info_name, parent = parent.info_name, parent.parent
        return super().make_context(info_name, args, parent, **more)


def _sources(
    _context: click.Context, _parameter: click.Parameter, given: Sequence[str]
) -> dict[str, str | None]:
    """Names, each with the file of its key, or None."""
    found: dict[str, str | None] = {}
    for text in given:
        name, _, path = text.partition("=")
        try:
            name = parse_option("source", name)
        except ConfigError as error:
            raise BadInputError(f"--{error}") from None
        if name in found:
            raise BadInputError(f"--source names {name} twice; give it once")
        found[name] = path or None
    return found


@click.command(
    cls=_Run,
    epilog="""\b
Examples:
  rudder-logging relay redis://localhost:6379/0 --source shop=/run/secrets/shop
  rudder-logging relay redis://host/0 --source shop=shop.key --source web=web.key \\
      --metrics 0.0.0.0:9464 --dead-letter /var/lib/relay/refused.jsonl
  RUDDER_WRITE_KEY=... rudder-logging relay kafka://k1,k2/events --source shop --drain
""",
)
@click.argument("url", envvar="RUDDER_RELAY", metavar="URL")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME[=KEYFILE]",
    callback=_sources,
    help="A source, and the file that holds its write key; repeat it for more. Without KEYFILE, "
    "the key is RUDDER_WRITE_KEY_NAME, or, with one source, RUDDER_WRITE_KEY. Left out, the source "
    "is RUDDER_SOURCE.",
)
@click.option("--drain", is_flag=True, help="End once nothing waits any more.")
@click.option(
    "--metrics",
    metavar="ADDRESS",
    help="Answer /metrics, /healthz and /readyz there, at 127.0.0.1:9464 say. Needs the extra "
    "`metrics`.",
)
@click.option(
    "--uploads",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="Uploads at the same time, of each source.",
)
@config_options(*_OPTIONS)
def run(
    *,
    url: str,
    sources: dict[str, str | None],
    drain: bool,
    metrics: str | None,
    uploads: int,
    **given: str | None,
) -> int:
    """Send what apps have appended to Redis or Kafka.

    Apps that have the options `relay` and `source` append their events to an engine, at URL (or
    RUDDER_RELAY, which other users of the machine can't see). This process takes them out, each
    user's in order, and sends them to the data plane. It alone holds the write keys. Run as many as
    you like: they share the work, and one takes over when another ends.

    SIGTERM and Ctrl-C end it well: uploads come to their end, and others take over at once. SIGHUP
    has it read the files of write keys again; it does so by itself when a key is refused.
    """
    try:
        shown = parse_relay_url(url).shown
    except ValueError as error:
        raise BadInputError(f"URL {error}") from None
    address = None if metrics is None else _address(metrics)
    with _lines_on_stderr():
        feeds = _feeds(url, sources, uploads, given)
        config = _config(given, "of-no-use")
        relay = Relay(feeds, shutdown_timeout=config.shutdown_timeout, tell=tell, drains=drain)
        with contextlib.ExitStack() as stack:
            place = None if address is None else _answering(stack, *address, feeds)
            stack.enter_context(_until_told(relay))
            _greet(shown, feeds, config.data_plane_url, place)
            relay.run()
    return _conclude(relay, feeds, drains=drain)


def _config(given: Mapping[str, str | None], key: str) -> Config:
    """The gateway, and how it is reached.

    Nothing else of the environment counts: RUDDER_RELAY would lead back to the engine.
    """
    app = app_around()
    if app is not None:
        given = {
            name: app.options.get(name) if value is None else value for name, value in given.items()
        }
    variables = {f"RUDDER_{name.upper()}" for name in _ENVIRONMENT}
    environ = {name: value for name, value in os.environ.items() if name in variables}
    try:
        config = Config.load(environ, write_key=key, max_batch_bytes=_UPLOAD_BYTES, **given)
        check_files(config)
    except ConfigError as error:
        raise BadInputError(str(error)) from None
    if not config.send:
        raise BadInputError("the option send is off (RUDDER_SEND): nothing may leave from here")
    return config


def _feeds(
    url: str, sources: dict[str, str | None], uploads: int, given: Mapping[str, str | None]
) -> list[Feed]:
    if not sources and os.environ.get("RUDDER_SOURCE"):
        try:
            sources = {parse_option("source", os.environ["RUDDER_SOURCE"]): None}
        except ConfigError as error:
            raise BadInputError(f"RUDDER_SOURCE: {error}") from None
    if not sources:
        raise BadInputError("no source is given; name it with --source NAME, or set RUDDER_SOURCE")
    try:
        keys = find_keys(sources, os.environ)
        return [
            _feed(url, name, key, uploads, _with_own_file(given, name, len(sources)))
            for name, key in keys.items()
        ]
    except ConfigError as error:
        raise BadInputError(str(error)) from None


def _feed(
    url: str, name: str, key: WriteKey, uploads: int, given: Mapping[str, str | None]
) -> Feed:
    config = _config(given, key.text)
    return Feed(name, config, key, partial(open_source, url, name), lanes=uploads)


def _with_own_file(
    given: Mapping[str, str | None], source: str, sources: int
) -> Mapping[str, str | None]:
    """The options; of several sources, each has dead letters of its own, as each has a key."""
    path = given["dead_letter"] or os.environ.get("RUDDER_DEAD_LETTER")
    if not path or sources == 1:
        return given
    file = Path(path)
    return {**given, "dead_letter": str(file.with_name(f"{file.stem}.{source}{file.suffix}"))}


def _address(metrics: str) -> tuple[str, int]:
    try:
        from ...relay.status_server import parse_address  # noqa: PLC0415 - needs another extra
    except ImportError:
        extra = "pip install 'rudder-logging[cli,metrics]'"
        raise BadInputError(f"--metrics needs an extra: {extra}") from None
    try:
        return parse_address(metrics)
    except ConfigError as error:
        raise BadInputError(f"--metrics {error}") from None


def _answering(stack: contextlib.ExitStack, host: str, port: int, feeds: Sequence[Feed]) -> str:
    from ...relay.health import Health  # noqa: PLC0415 - only here
    from ...relay.metrics import Metrics  # noqa: PLC0415 - as above
    from ...relay.status_server import serving  # noqa: PLC0415 - as above

    try:
        return stack.enter_context(serving(host, port, Health(feeds), Metrics(feeds)))
    except ConfigError as error:
        raise BadInputError(f"--metrics: {error}") from None


@contextlib.contextmanager
def _until_told(relay: Relay) -> Iterator[None]:
    """Have signals end it: the first well, the second at once. SIGHUP renews keys."""
    told = False

    def end(*_: object) -> None:
        nonlocal told
        if told:
            raise KeyboardInterrupt
        told = True
        relay.stop()

    with contextlib.ExitStack() as stack:
        stack.enter_context(on_signals(end))
        if hasattr(signal, "SIGHUP"):
            before = signal.signal(signal.SIGHUP, lambda *_: relay.renew_keys())
            stack.callback(signal.signal, signal.SIGHUP, before)
        yield


@contextlib.contextmanager
def _lines_on_stderr() -> Iterator[None]:
    """Show the package's own lines, each with its time and its source."""
    logger = logging.getLogger("rudder_logging")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(_LINE))
    handler.addFilter(NamesSource())
    propagated = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


def _greet(url: str, feeds: Sequence[Feed], data_plane_url: str, place: str | None) -> None:
    names = ", ".join(feed.name for feed in feeds)
    tell(f"Relaying {names} from {url} to {data_plane_url}")
    if place is not None:
        tell(f"Answering {place}/metrics, /healthz and /readyz")


def _conclude(relay: Relay, feeds: Sequence[Feed], *, drains: bool) -> int:
    for feed in feeds:
        click.echo(summary(feed, None))
    if relay.unanswered:
        tell(
            f"{relay.unanswered} uploads had no answer in time; whoever takes over sends them "
            "again, with the same ids"
        )
    if drains and not relay.is_drained:
        tell("interrupted before all was sent; the same command goes on")
        return ExitCode.INTERRUPTED
    return ExitCode.OK
