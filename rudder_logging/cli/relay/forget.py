"""`rudder-logging relay forget URL`: what waits of a person in an engine never arrives."""

from __future__ import annotations

import os

import click

from ..common import BadInputError, ExitCode, events, show_json, tell
from ..forget.places import in_source

__all__ = ["forget"]


@click.command()
@click.argument("words", nargs=-1, metavar="[URL] ID...")
@click.option(
    "--source", required=True, envvar="RUDDER_SOURCE", metavar="NAME", help="Of which source."
)
@click.option("--yes", is_flag=True, help="Do it. Left out, it is only counted what waits.")
@click.option("--json", "is_json", is_flag=True, help="Print the result as JSON.")
def forget(*, words: tuple[str, ...], source: str, yes: bool, is_json: bool) -> int:
    """Have relays leave out what waits of a person.

    ID is one that events know the person by, in any field that holds an id; name as many as you
    like. URL is the engine's; left out, it is RUDDER_RELAY.

    What waits of them in the engine is not delivered, from a few seconds on, and leaves the engine
    when its turn comes; what nobody could deliver, and is kept apart, is rewritten at once. What
    comes later is delivered. The engine forgets the ids when nothing is left that they are for.

    An upload that is on its way is not stopped. What apps have not handed to the engine yet is in
    their memory, or in their spools, from which `rudder-logging forget` erases.
    """
    url, people = _url_and_ids(words)
    number = in_source(url, source, people, erases=yes)
    if is_json:
        show_json({"source": source, "ids": len(people), "waiting": number, "forgotten": yes})
    elif yes:
        click.echo(f"{events(number)} will not be delivered")
    else:
        click.echo(f"{events(number)} of {source} waiting")
        tell("nothing was done; with --yes, relays leave them out")
    return ExitCode.OK


def _url_and_ids(words: tuple[str, ...]) -> tuple[str, list[str]]:
    url = os.environ.get("RUDDER_RELAY")
    if words and "://" in words[0]:
        url, words = words[0], words[1:]
    if not url:
        raise BadInputError("name the engine's URL, or set RUDDER_RELAY")
    people = list(dict.fromkeys(words))
    if not people or not all(one.strip() for one in people):
        raise BadInputError("name the ids of a person; none may be empty (is a variable not set?)")
    return url, people
