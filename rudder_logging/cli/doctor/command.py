"""`rudder-logging doctor`: would events leave, would they arrive, and what stops them if not."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import Any

import click

from ...exceptions import ConfigError
from ..common import (
    CONNECTION,
    FILE,
    BadInputError,
    ExitCode,
    app_around,
    config_options,
    load_plan,
    show_json,
)
from ..sources import Source
from .configuration import apply, disarmed
from .findings import a_warning, any_stops
from .messages import examine
from .report import as_document, show
from .tree import all_loggers
from .visit import Visit

__all__ = ["doctor"]


@click.command()
@click.argument("loggers", metavar="[LOGGER]...", nargs=-1)
@click.option(
    "--config",
    "configuration",
    metavar="FILE|MODULE:NAME",
    type=FILE,
    help="The app's logging configuration, put in force first: a JSON file for dictConfig, an INI "
    "file for fileConfig, or a dict (or a function) in a module, like mysite.settings:LOGGING.",
)
@config_options(*(name for name in CONNECTION if name != "timeout"))
@click.option(
    "--messages",
    metavar="FILE|-",
    type=FILE,
    help="Look at events in a file instead: JSON Lines of a spool, of dead letters, or of a "
    "RudderFormatter. Says what would be refused, what a warehouse would drop or rename, and "
    "whose type drifts.",
)
@click.option(
    "--plan",
    metavar="FILE",
    type=FILE,
    help="With --messages: a tracking plan, to which they are held. Needs the extra `plan`.",
)
@click.option("--offline", is_flag=True, help="Leave the network out.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait for each step on the network.",
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object.")
def doctor(
    loggers: tuple[str, ...],
    configuration: str | None,
    messages: str | None,
    plan: str | None,
    timeout: float,
    *,
    offline: bool,
    is_json: bool,
    **given: Any,
) -> int:
    """Find out what keeps events from arriving.

    Says whether an event would leave and arrive, what stops it if not, and the cure.

    Walks the logging tree from each LOGGER (by default those that have a RudderHandler, and the
    package's own calls), as --config leaves it. Then checks name, proxy, connection, TLS, /health,
    clock and write key of each data plane, and the spool directory. No event is sent: only an
    empty batch, which stores nothing. Of an app that goes to a relay, it checks the engine.

    With --relay it checks that engine alone: version, persistence, eviction, clock, permissions,
    and of --source, or of each source, what waits and who delivers it.

    Exit code 1 means that something stops events; warnings alone leave it 0.
    """
    app = app_around()
    if app is None:
        visit = Visit(loggers, given, [logger.name for logger in all_loggers()])
    else:
        visit = Visit(loggers, given, app.others_loggers, is_configured=True)
    if plan is not None and messages is None:
        raise BadInputError("--plan is for events in a file; give --messages FILE, too")
    if messages is not None:
        source_of_messages = Source(messages)
        try:
            visit.findings += examine(source_of_messages, load_plan(plan))
        except ConfigError as error:  # the plan refers to what it does not have
            raise BadInputError(str(error)) from None
        except OSError as error:
            raise BadInputError(f"{messages} can't be read: {error.strerror}") from None
        finally:
            source_of_messages.close()
    limit = None if offline else timeout
    names_app = bool(configuration is not None or loggers)
    if given["relay"] is not None and not names_app:
        if limit is not None:
            visit.look_at_relay(given["relay"], given["source"], limit)
    elif messages is None or names_app:
        # To the end: threads of the app's may go on, and its filters, when they are asked, may log.
        with disarmed() as visit.made:
            _look_at_app(visit, configuration, limit)
    if is_json:
        show_json(as_document(visit.passages, visit.findings))
    else:
        show(visit.passages, visit.findings)
    return ExitCode.FAILED if any_stops(visit.findings) else ExitCode.OK


def _look_at_app(visit: Visit, source: str | None, timeout: float | None) -> None:
    with _overheard() as said:
        if source is not None:
            visit.is_configured = apply(source)
    try:
        # What filters of the app's print is no result of ours.
        with contextlib.redirect_stdout(sys.stderr):
            visit.look_at_logging()
        visit.look_at_disk()
        if timeout is not None:
            visit.look_at_network(timeout)
    except ConfigError as error:
        raise BadInputError(str(error)) from None
    texts = [finding.text for finding in visit.findings]
    for line in dict.fromkeys(said):
        if not any(line.startswith(text) for text in texts):
            text, _, cure = line.partition("; ")
            found = a_warning("overheard", "the configuration", text, cure)
            visit.findings.append(found)


@contextlib.contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collect the package's warnings while handlers are made, like that of a wrong formatter."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    listener, own = Listener(logging.WARNING), logging.getLogger("rudder_logging")
    own.addHandler(listener)
    try:
        yield said
    finally:
        own.removeHandler(listener)
