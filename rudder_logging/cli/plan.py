"""`rudder-logging plan diff`: what a change of a tracking plan breaks."""

from __future__ import annotations

from dataclasses import asdict

import click

from ..checks.plan_changes import Change, changes
from ..common.printable import printable
from ..exceptions import ConfigError
from .common import FILE, BadInputError, ExitCode, NearestGroup, read_plan, show_json, tell

__all__ = ["plan"]


@click.group(cls=NearestGroup)
def plan() -> None:
    """Compare tracking plans."""


@plan.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("--exit-code", is_flag=True, help="End with 1 if a change breaks something.")
@click.option("--json", "is_json", is_flag=True, help="Print the result as JSON.")
def diff(*, old: str, new: str, exit_code: bool, is_json: bool) -> int:
    """Say what differs between two tracking plans, and whom each change breaks.

    Callers break where an event that was as planned is so no more, or where the functions that
    `codegen` writes get another signature. The warehouse breaks where a column has to take values
    of another type than it has. All else is harmless.

    \b
    git show main:plan.json > old.json
    rudder-logging plan diff old.json plan.json --exit-code
    """  # noqa: D301 - click's own sign: do not wrap
    plans = [read_plan(path) for path in (old, new)]
    try:
        found = changes(*plans)
    except ConfigError as error:
        raise BadInputError(str(error)) from None
    breaking = [change for change in found if change.breaks]
    if is_json:
        show_json({"breaking": len(breaking), "changes": [asdict(change) for change in found]})
    else:
        for change in found:
            click.echo(printable(_line(change)))
        sums = f"{len(found)} changes, of which {len(breaking)} break something"
        tell(sums if found else "no changes")
    return ExitCode.FAILED if exit_code and breaking else ExitCode.OK


def _line(change: Change) -> str:
    place = ", ".join(filter(None, (change.event, change.path)))
    verdict = f"breaks {' and '.join(change.breaks)}" if change.breaks else "harmless"
    return f"{verdict}: {place}{' ' if place else ''}{change.text}"
