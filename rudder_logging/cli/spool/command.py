"""`rudder-logging spool`: what a durable queue holds, and how to erase from it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from time import time
from typing import Any

import click
import orjson
from click.shell_completion import CompletionItem

from ...common.printable import printable_json
from ...events.persons import Matches, concerns
from ...queues.file.erasing import cure_of
from ..common import BadInputError, ExitCode, FailedError, NearestGroup, events, show_json, tell
from ..moments import moment_of
from .erasure import count, erase, sweep
from .holdings import Holding, holdings, left_here, spool_directory

__all__ = ["purge_found", "spool"]


def _ids(
    _context: click.Context, _parameter: click.Parameter, ids: tuple[str, ...]
) -> tuple[str, ...]:
    """The ids of a person, none of which is a variable that was not set."""
    if not all(one.strip() for one in ids):
        raise BadInputError("--user-id is empty; give an id (is a variable not set?)")
    return ids


_directory = click.argument(
    "directory",
    metavar="[DIR]",
    required=False,
    # click.Path would refuse what is no directory in words of its own.
    shell_complete=lambda _context, _parameter, begun: [CompletionItem(begun, type="dir")],
)
_json = click.option("--json", "is_json", is_flag=True, help="Print the result as JSON.")
_users = click.option(
    "--user-id",
    "user_ids",
    metavar="ID",
    multiple=True,
    callback=_ids,
    help="Only events that have this id, in any field that holds one. Repeat it for more.",
)


@click.group(cls=NearestGroup)
def spool() -> None:
    """Look into a durable queue, or erase from it.

    DIR is the directory that the option `queue` names (file:///DIR); by default that of the
    environment's RUDDER_QUEUE. All of it is safe beside processes that use the queue.
    """


@spool.command("list")
@_directory
@_json
def list_(*, directory: str | None, is_json: bool) -> None:
    """Show who holds how many events, how large and how old.

    HELD BY is the living process that delivers them: the one that wrote them, or one that has
    taken over. What nobody holds was left by a process that has ended; the next one with the same
    write key delivers it. Of events under a key that no process uses, stderr says what sends them;
    RUDDER_WRITE_KEY, if it is set, is one that is used. FOR is the data plane's host.
    """
    directory = spool_directory(directory)
    found = [holding.summary() for holding in holdings(directory)]
    if is_json:
        show_json(found)
        return
    rows = [["SOURCE", "FOR", "WRITTEN BY", "HELD BY", "EVENTS", "BYTES", "OLDEST"]]
    now = time()
    rows += [
        [
            one["source"][:8],
            one["destination"] or "-",
            str(one["writer"]),
            str(one["holder"] or "somebody") if one["held"] else "nobody",
            f"{one['events']:,}",
            f"{one['bytes']:,}",
            _age(now, one["oldest"]),
        ]
        for one in found
    ]
    if found:
        for row in _aligned(rows):
            click.echo(row)
    total = sum(one["events"] for one in found)
    click.echo(f"{events(total)}, {sum(one['bytes'] for one in found):,} bytes")
    for left in left_here(directory):
        tell(f"{left.text}: {left.cure}")


@spool.command()
@_directory
@_users
def show(*, directory: str | None, user_ids: tuple[str, ...]) -> int:
    """Print the events that wait, as JSON Lines.

    Those of the oldest process of a source come first. What is damaged is told on stderr, and so
    is who else sends what is shown: all of it stays in the spool.
    """
    matches = concerns(user_ids) if user_ids else None
    shown = held = damaged = 0
    for holding in holdings(spool_directory(directory)):
        for path, line in holding.pending():
            if matches is not None and not matches(line.text):
                continue
            if not _is_event(line.text):
                damaged += 1
                tell(f"{path}: the line that ends at byte {line.end:,} is damaged")
                continue
            click.echo(printable_json(line.text.strip()))
            shown += 1
            held += holding.is_alive
    if shown:
        tell(_stay(shown, held))
    return ExitCode.FAILED if damaged else ExitCode.OK


def _stay(shown: int, held: int) -> str:
    """The fate of events that were shown, for who would pipe them into a replay: sent twice."""
    fates = []
    if held:
        fates.append(f"living processes hold and send {held:,}")
    if left := shown - held:
        fates.append(
            f"the next process that uses it sends {left:,}, "
            "unless they are purged before (rudder-logging spool purge)"
        )
    return f"{events(shown)} shown, and left in the spool: {'; '.join(fates)}"


@spool.command()
@_directory
@_users
@click.option("--all", "takes_all", is_flag=True, help="All events of processes that have ended.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def purge(
    *, directory: str | None, user_ids: tuple[str, ...], takes_all: bool, yes: bool, is_json: bool
) -> int:
    """Erase events of a user, or all, before they are sent.

    Events that a living process holds can't be erased: it may have them in memory. The command
    names the process, and ends with 1; stop it (its events stay in the spool) and purge again, or
    use `rudder-logging forget`, which has it erase them.
    What was delivered already, or is among dead letters, is elsewhere.
    """
    if takes_all == bool(user_ids):
        raise BadInputError("say what to erase: --user-id ID, or --all")
    matches: Matches = _everything if takes_all else concerns(user_ids)
    found = holdings(spool_directory(directory))
    if not yes:
        _ask(sum(count(holding, matches) for holding in found if not holding.is_alive))
    erased, held = purge_found(found, matches)
    left = sum(number for _, number in held)
    # By process: one that has taken over from others has several holdings.
    by_pid: Counter[int | None] = Counter()
    by_name: Counter[str] = Counter()
    for holding, number in held:
        by_pid[holding.holder] += number
        by_name[_name_of(holding)] += number
    if is_json:
        shown = [{"holder": holder, "events": number} for holder, number in by_pid.items()]
        show_json({"erased": erased, "left": left, "held": shown})
    else:
        click.echo(f"{events(erased)} erased")
    if not held:
        return ExitCode.OK
    who = ", ".join(f"{number:,} by {name}" for name, number in by_name.items())
    raise FailedError(
        f"{events(left)} held by living processes are left, and may be sent ({who}); "
        "stop them, and purge again"
    )


def purge_found(
    found: Sequence[Holding], matches: Matches, requests: Mapping[str, int] | None = None
) -> tuple[int, list[tuple[Holding, int]]]:
    """Erase. Returns how many are gone, and how many each living process holds.

    Args:
        found: Where.
        matches: Tells what.
        requests: By source the number of the request that is carried out by it.
    """
    erased, held = 0, []
    swept = set()
    for holding in found:
        try:
            if holding.directory not in swept:
                swept.add(holding.directory)
                sweep(holding.directory)
            request = (requests or {}).get(holding.directory, 0)
            number = None if holding.is_alive else erase(holding, matches, request)
        except OSError as error:
            where = error.filename or holding.directory
            raise FailedError(
                f"{where} can't be rewritten: {error.strerror}; {events(erased)} erased before; "
                f"{cure_of(error)}, and do this again"
            ) from None
        if number is not None:
            erased += number
        elif number := count(holding, matches):
            held.append((holding, number))
    return erased, held


def _name_of(holding: Holding) -> str:
    holder = holding.holder
    if holder is None:
        return f"whoever has taken over from process {holding.pid}, or itself"
    return f"process {holder}"


def _ask(number: int) -> None:
    if not (sys.stdin is not None and sys.stdin.isatty()):
        raise BadInputError("nobody can be asked here: give --yes")
    if not click.confirm(f"Erase {events(number)} for good?", err=True):
        raise FailedError("nothing was erased")


def _everything(line: bytes) -> bool:
    return bool(line.strip())


def _is_event(text: bytes) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _age(now: float, stamp: Any) -> str:
    """An age in the largest unit that fits."""
    moment = moment_of(stamp)
    if moment is None:
        return "-"
    seconds = max(0.0, now - moment)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of text."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
