"""`rudder-logging forget`: some people's events are erased, and RudderStack suppresses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem

from ...common.printable import printable
from ...exceptions import InvalidEventError
from ...privacy.suppression import checked_ids
from ...queues.urls import MEMORY
from ..common import FILE, BadInputError, ExitCode, FailedError, events, said, show_json, tell
from ..spool.holdings import spool_directory
from .places import in_letters, in_relay, in_spool
from .regulations import Regulation

__all__ = ["forget"]


@click.command(
    epilog="""\b
Examples:
  rudder-logging forget jane --spool /var/spool/shop
  rudder-logging forget jane jane@example.com --relay redis://host/0 --source shop --yes
  rudder-logging forget jane --api https://api.rudderstack.com --token-file token --yes
"""
)
@click.argument("users", metavar="USER...", nargs=-1, required=True)
@click.option(
    "--spool",
    "directory",
    metavar="DIR",
    shell_complete=lambda _context, _parameter, begun: [CompletionItem(begun, type="dir")],
    help="A durable queue's directory. [env: RUDDER_QUEUE]",
)
@click.option(
    "--dead-letter",
    "letters",
    metavar="FILE",
    multiple=True,
    shell_complete=lambda _context, _parameter, begun: [CompletionItem(begun, type="file")],
    help="A file of dead letters. Repeat it for more. [env: RUDDER_DEAD_LETTER]",
)
@click.option("--relay", metavar="URL", help="The engine of a relay. [env: RUDDER_RELAY]")
@click.option(
    "--source",
    "sources",
    metavar="NAME",
    multiple=True,
    help="The engine's source. Repeat it for more. [env: RUDDER_SOURCE]",
)
@click.option("--api", metavar="URL", help="RudderStack's API, as https://api.rudderstack.com.")
@click.option(
    "--token-file",
    type=FILE,
    metavar="FILE",
    help="The file with the access token of RudderStack's API; needed with --api.",
)
@click.option(
    "--delete-from",
    "destinations",
    metavar="ID",
    multiple=True,
    help="A destination that is to delete them, too. Repeat it for more.",
)
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait for living processes to erase what they hold.",
)
@click.option(
    "--yes", is_flag=True, help="Do it. Without this, it is only told what would be done."
)
@click.option("--json", "is_json", is_flag=True, help="Print the report as JSON.")
def forget(
    *,
    users: tuple[str, ...],
    directory: str | None,
    letters: tuple[str, ...],
    relay: str | None,
    sources: tuple[str, ...],
    api: str | None,
    token_file: str | None,
    destinations: tuple[str, ...],
    seconds: float,
    yes: bool,
    is_json: bool,
) -> int:
    """Erase what there is of people, and have RudderStack suppress them.

    USER is an id that events know a person by. Whatever has it, in any field that holds an id, is
    erased: from a spool, of processes that have ended and of living ones, which erase their own
    within seconds; from dead letters; and from the engine of a relay, where it is left out.
    RudderStack goes by user ids alone.

    What an app has only in memory is for its own suppress(), and so is what it logs from now on.
    What was delivered already is at RudderStack's destinations: --delete-from has them delete it.

    The exit code is 1 if something of it was not done; the others were.
    """
    ids = _ids(users)
    parts = _parts(
        ids,
        directory=directory or _queue(),
        letters=letters or _texts("dead_letter"),
        relay=relay or said("relay"),
        sources=sources or _texts("source"),
        # What can't be right is told before anything is done.
        regulation=_regulation(api, token_file, ids, destinations),
        erases=yes,
        seconds=seconds,
    )
    report: dict[str, Any] = {"done": yes, "users": len(ids)}
    faults: list[str] = []
    for name, part in parts.items():
        found, fault = _outcome(part)
        if found is not None:
            report[name] = found
        faults += [f"{name}: {one}" for one in fault]
    if is_json:
        show_json({**report, "faults": faults})
    else:
        for line in _lines(report):
            click.echo(printable(line))
    if not yes:
        tell("nothing was changed: give --yes to do it")
    if faults:
        raise FailedError("; ".join(faults))
    return ExitCode.OK


_Part = Callable[[], dict[str, Any]]


def _parts(
    ids: Sequence[str],
    *,
    directory: str | None,
    letters: Sequence[str],
    relay: str | None,
    sources: Sequence[str],
    regulation: Regulation | None,
    erases: bool,
    seconds: float,
) -> dict[str, _Part]:
    """The places that are seen to, by their names in the report."""
    if relay and not sources:
        raise BadInputError("--relay needs --source (or RUDDER_SOURCE): the engine has several")
    parts: dict[str, _Part] = {}
    if directory is not None:
        spool = spool_directory(directory)
        parts["spool"] = lambda: in_spool(spool, ids, erases=erases, seconds=seconds)
    if letters:
        parts["dead_letters"] = lambda: in_letters(letters, ids, erases=erases)
    if relay:
        parts["relay"] = lambda: in_relay(relay, sources, ids, erases=erases)
    if regulation is not None:
        parts["api"] = regulation.sent if erases else regulation.told
    if not parts:
        raise BadInputError(
            "say where: --spool DIR (or RUDDER_QUEUE), --dead-letter FILE, --relay URL, or "
            "--api URL"
        )
    return parts


def _outcome(part: _Part) -> tuple[dict[str, Any] | None, list[str]]:
    """The numbers, and what was not done. The other places are seen to all the same."""
    try:
        found = part()
    except FailedError as error:
        return None, [error.message]
    return found, found.pop("faults", [])


def _queue() -> str | None:
    queue = said("queue")
    return None if queue == MEMORY else queue


def _texts(name: str) -> Sequence[str]:
    return tuple(filter(None, [said(name)]))


def _regulation(
    api: str | None, token_file: str | None, ids: Sequence[str], destinations: Sequence[str]
) -> Regulation | None:
    if destinations and api is None:
        raise BadInputError("--delete-from needs --api")
    return None if api is None else Regulation(api, token_file, ids, destinations)


def _ids(users: Sequence[str]) -> list[str]:
    try:
        return list(dict.fromkeys(checked_ids(users)))
    except InvalidEventError:
        raise BadInputError("a USER is empty; give an id (is a variable not set?)") from None


def _lines(report: dict[str, Any]) -> list[str]:
    done = report["done"]
    verb = "erased" if done else "would be erased"
    lines = []
    if "spool" in report:
        found = report["spool"]
        lines.append(f"spool: {events(found['erased'])} {verb}")
        if found["handed_over"]:
            number = events(found["handed_over"])
            who = "by the living processes that held them" if done else "by living processes"
            lines.append(f"spool: {number} {verb} {who}")
        if found["held"]:
            lines.append(f"spool: {events(found['held'])} held by living processes")
    if "dead_letters" in report:
        lines.append(f"dead letters: {events(report['dead_letters']['erased'])} {verb}")
    for name, number in report.get("relay", {}).get("waiting", {}).items():
        fate = "will not be delivered" if done else "would not be delivered"
        lines.append(f"relay: {events(number)} of {name} {fate}")
    if "api" in report:
        found = report["api"]
        lines.append(
            f"api: {found['regulation']} for {found['users']} users, "
            f"{found['destinations']} destinations {'sent' if done else 'would be sent'}"
        )
    return lines
