"""`rudder-logging relay status URL`: what waits in an engine, and who delivers it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from ...config.relay_urls import parse_relay_url
from ...exceptions import ConfigError
from ...relay.engine import EngineError
from ...relay.look import SourceLook, open_looker
from ..common import BadInputError, ExitCode, FailedError, events, show_json, tell

__all__ = ["status"]

_KILO = 1_000


@click.command()
@click.argument("url", envvar="RUDDER_RELAY", metavar="[URL]")
@click.option(
    "--source",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this source; repeat it for more. Left out: all that the engine has.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Wait for each answer of the engine.",
)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object, for autoscalers.")
def status(*, url: str, names: tuple[str, ...], timeout: float, is_json: bool) -> int:
    """Show what waits in an engine, and who delivers it.

    URL is the engine's; left out, it is RUDDER_RELAY. Nothing is taken or changed.

    For each source: its shards and how many have an owner; the events that wait, their size in the
    engine, and the age of the oldest; frames that nobody could deliver and that are kept apart
    (BURIED); relays that are alive, and those of them that own no shard (IDLE).

    --json has `engine`, `lag_events`, `lag_bytes`, `lag_seconds`, `relays`, and `sources`: each of
    them with the same, and with `source`, `shards`, `shards_owned`, `relays_idle`, `buried`,
    `forgotten` and `owners` (shards by relay).

    The exit code is 1 if the engine does not answer, or if events wait and no relay is alive.
    """
    try:
        looker = open_looker(url, timeout)
    except ConfigError as error:
        raise BadInputError(str(error)) from None
    try:
        found = [looker.look(name) for name in names or looker.sources()]
    except EngineError as error:
        raise FailedError(f"{error.failure.fault}; {error.failure.cure}") from None
    finally:
        looker.close()
    if is_json:
        show_json(as_document(parse_relay_url(url).shown, found))
    else:
        _show(found)
    alone = [one for one in found if one.is_left_alone]
    for one in alone:
        tell(f"{one.name}: no relay is alive, to deliver {events(one.lag.events)}")
    return ExitCode.FAILED if alone else ExitCode.OK


def as_document(engine: str, found: Sequence[SourceLook]) -> dict[str, Any]:
    """The object that `--json` shows. Its keys stay; new ones may come."""
    sources = [_row(one) for one in found]
    return {
        "engine": engine,
        "lag_events": sum(one.lag.events for one in found),
        "lag_bytes": sum(one.lag.bytes for one in found),
        "lag_seconds": max((round(one.lag.seconds, 3) for one in found), default=0.0),
        "relays": len({relay for one in found for relay in one.relays}),
        "sources": sources,
    }


def _row(one: SourceLook) -> dict[str, Any]:
    owned = Counter(one.owners.values())
    return {
        "source": one.name,
        "lag_events": one.lag.events,
        "lag_bytes": one.lag.bytes,
        "lag_seconds": round(one.lag.seconds, 3),
        "shards": one.shards,
        "shards_owned": len(one.owners),
        "relays": len(one.relays),
        "relays_idle": len(one.idle),
        "buried": one.buried,
        "forgotten": one.forgotten,
        "owners": {relay: owned[relay] for relay in sorted({*one.relays, *owned})},
    }


def _show(found: Sequence[SourceLook]) -> None:
    from rich.console import Console  # noqa: PLC0415 - costly
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if not found:
        click.echo("There is no source in the engine: no app has appended to it yet.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("SOURCE", no_wrap=True)
    for title in ("SHARDS", "OWNED", "EVENTS", "BYTES", "OLDEST", "BURIED", "RELAYS", "IDLE"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in found:
        cells = (one.shards, len(one.owners), one.lag.events, one.lag.bytes)
        rest = (one.buried, len(one.relays), len(one.idle))
        table.add_row(
            Text(one.name),
            *(f"{cell:,}" for cell in cells),
            _age(one.lag.seconds) if one.lag.events else "-",
            *(f"{cell:,}" for cell in rest),
            style="bold red" if one.is_left_alone else None,
        )
    width = None if sys.stdout.isatty() else 200  # a pipe has no edge to wrap at
    console = Console(highlight=False, width=width)
    console.print(table)
    for one in found:
        for relay, shards in _row(one)["owners"].items():
            owns = f"{shards} of {one.shards} shards" if shards else "no shard"
            console.print(Text(f"{one.name}: {relay} owns {owns}"))


def _age(seconds: float) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
