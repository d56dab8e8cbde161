"""The command itself: its flags, and what it prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from difflib import unified_diff
from pathlib import Path

import click

from ...common.printable import printable
from ..common import FILE, BadInputError, ExitCode, tell
from .files import Moved, files_in, moved, own_analytics

__all__ = ["migrate"]

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_SERVER = (
    "Segment's SDK knows its server, this package does not: set RUDDER_DATA_PLANE_URL (or "
    "data_plane_url), and a write key of RudderStack's"
)


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=FILE)
@click.option("--write", is_flag=True, help="Change the files, instead of showing how.")
@click.option(
    "--check",
    is_flag=True,
    help="Exit with 1 if a file would change, or if something has to be done by hand.",
)
def migrate(paths: tuple[str, ...], *, write: bool, check: bool) -> ExitCode:
    """Move code from RudderStack's or Segment's SDK to this package.

    Prints, as a diff, what becomes of Python code that uses rudder-sdk-python or
    segment-analytics-python (any version); nothing is changed without --write. What does not move
    by itself is told on stderr, with file and line. PATHs are files, and directories in which all
    files are looked at, but not those of virtual environments.

    \b
    rudder-logging migrate .            what would change, and what is left to do
    rudder-logging migrate . --write    change it
    rudder-logging migrate . --check    nothing left? (in CI)
    """  # noqa: D301 - click's own sign: do not wrap
    if write and check:
        raise BadInputError("--write and --check exclude each other")
    found = _look(paths)
    changed = [one for one in found if one.changes and not one.fault]
    for one in changed:
        if write:
            _write(one)
        elif not check:
            _show(one)
    for one in found:
        remarks = one.remarks_after() if write else one.remarks
        for remark in remarks:
            tell(f"{one.path}:{remark.line}: {remark.text}")
        if one.fault:
            tell(f"{one.path}: left as it is: {one.fault}")
    if any(one.is_segments for one in changed) and not any(one.sets_host for one in changed):
        tell(f"note: {_SERVER}")
    tell(_summary(found, len([one for one in changed if not one.fault]), write=write))
    is_left = any(one.remarks or one.fault or one.changes for one in found)
    failed = any(one.fault for one in found)
    return ExitCode.FAILED if failed or (check and is_left) else ExitCode.OK


def _look(names: Sequence[str]) -> list[Moved]:
    paths = [Path(name) for name in names]
    for path in paths:
        if not path.exists():
            raise BadInputError(f"there is no {path}")
    files = list(files_in(paths))
    own = own_analytics(files)
    return [one for path in files if (one := moved(path, own)) is not None]


def _write(one: Moved) -> None:
    try:
        one.path.write_bytes(one.after)
    except OSError as error:
        one.fault = f"can't be written: {error.strerror}"


def _show(one: Moved) -> None:
    before, after = one.lines()
    for line in unified_diff(before, after, f"{one.path} (now)", f"{one.path} (then)"):
        text = printable(line.rstrip("\r\n"))
        click.secho(text, fg=_COLOURS.get(line[0]), bold=line.startswith(("+++", "---")) or None)
    sys.stdout.flush()


def _summary(found: Sequence[Moved], changed: int, *, write: bool) -> str:
    by_hand = sum(len(one.remarks) for one in found)
    if not found:
        return "nothing to move: no file uses an SDK"
    files = "1 file" if changed == 1 else f"{changed} files"
    places = "1 place" if by_hand == 1 else f"{by_hand} places"
    parts = [f"{files} changed" if write else f"{files} would change"]
    if by_hand:
        parts.append(f"{places} to see to by hand")
    if faults := sum(bool(one.fault) for one in found):
        parts.append(f"{faults} left as they are")
    if changed and not write:
        parts.append("--write changes them")
    return "; ".join(parts)
