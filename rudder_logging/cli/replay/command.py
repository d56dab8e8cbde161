"""`rudder-logging replay FILE...`: ships what was written instead of sent."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from time import time
from typing import TYPE_CHECKING

import click

from ...checks.drift import Types
from ...common.private_files import open_file
from ...config import Config
from ...sinks.nowhere import Nowhere
from ..common import (
    CONNECTION,
    FILE,
    BadInputError,
    ExitCode,
    FailedError,
    config_options,
    events,
    load_config,
    load_plan,
    privacy_option,
    show_json,
    tell,
)
from ..moments import since as since_of
from ..shipper import Shipper
from ..sources import REPLAYED, Source
from .display import Display
from .engine import Input, Replay, Rules
from .progress import KINDS, Mark, Progress, Tally, destination, failed

if TYPE_CHECKING:
    from ...privacy.again import Again
    from ...privacy.options import Privacy

__all__ = ["replay"]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...|-", type=FILE)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="EVENTS/S",
    help="Send no faster than that.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Read, check and count, and tell whose type drifts; send and write nothing.",
)
@click.option(
    "--since",
    metavar="TIME",
    help="Only what happened since: 2026-01-31T12:00:00Z, or 30m, 12h, 7d ago.",
)
@click.option(
    "--plan",
    metavar="FILE",
    type=FILE,
    help="A tracking plan; what breaks it is not sent.",
)
@click.option(
    "--resume",
    metavar="FILE",
    type=FILE,
    help=f"Where to keep how far it got, instead of FILE{REPLAYED} beside each file.",
)
@click.option("--again", is_flag=True, help="Send all of it, whatever was sent before.")
@click.option(
    "--rejects",
    metavar="FILE",
    type=FILE,
    help="Append what can't be sent or is refused, like dead letters.",
)
@click.option(
    "--give-up-after",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for a data plane that is not well.",
)
@privacy_option()
@click.option(
    "--filtered",
    is_flag=True,
    help="The logs were written behind the same option privacy: hashes in them stay.",
)
@config_options(*CONNECTION)
@click.option("--json", "is_json", is_flag=True, help="Print the counts as JSON.")
def replay(
    *,
    files: tuple[str, ...],
    dry_run: bool,
    since: str | None,
    plan: str | None,
    resume: str | None,
    again: bool,
    rejects: str | None,
    rate: float | None,
    give_up_after: float,
    filtered: bool,
    is_json: bool,
    **connection: str | None,
) -> int:
    """Send events from spools, dead letters and logs.

    Reads JSON Lines: segments of a spool, files of dead letters, logs that a RudderFormatter
    wrote (ordinary lines among them are skipped and counted), or stdin (`-`). Events keep their
    ids and the time at which they happened; `sentAt` is that of the replay.

    How far it got is kept in FILE.replayed, after each upload. After Ctrl-C, an outage or a crash,
    the same command goes on there, and sends only what is new. That holds for the same data plane
    and source only. Killed by force, it may send up to 1,000 events twice, with the same ids. Of
    stdin, that is kept only with --resume. Ctrl-C waits for the answer to what is under way; a
    second one does not.

    With --privacy or RUDDER_PRIVACY, all of that option but its rates holds for each event. Spools
    and dead letters passed it when they were written: hashes in them stay. Of logs that a
    PrivateFormatter wrote, --filtered says so.

    Events that can't be sent are told by file and line, never by content. The exit code is 0 only
    if all have arrived.
    """
    if dry_run:
        config = load_config(**connection | {"relay": None}, sink=Nowhere(), send=True)
        rate = None
    else:
        config = load_config(dead_letter=rejects, **connection)
        rejects = config.dead_letter
    rules = _rules(config, rate=rate, since=since, plan=plan, looks_at_types=dry_run)
    inputs = _inputs(files, resume, None if dry_run else destination(config), again=again)
    for one in inputs:
        one.has_passed |= filtered
    for one in inputs:
        one.mark = one.mark.under(rules.since)
    if not dry_run:
        _check_writable(inputs, rejects)
    _tell_of_earlier(inputs)
    sizes = [one.source.size for one in inputs]
    known = [size for size in sizes if size is not None]
    total = sum(known) - sum(one.mark.offset for one in inputs)
    with Display(total if len(known) == len(sizes) else None) as display:
        shipper = Shipper(config, patience=give_up_after, on_wait=display.waiting)
        run = Replay(shipper, rules, display, None if dry_run else rejects)
        try:
            run.run(inputs)
            fault = None
        except FailedError as error:
            fault = error.message
        finally:
            shipper.close()
            for one in inputs:
                one.source.close()
    return _conclude(run, inputs, fault, is_json=is_json, dry_run=dry_run, again=again)


def _rules(
    config: Config,
    *,
    rate: float | None,
    since: str | None,
    plan: str | None,
    looks_at_types: bool,
) -> Rules:
    moment = None
    if since is not None:
        try:
            moment = since_of(since, time())
        except ValueError as error:
            raise BadInputError(f"--since {error}") from None
    loaded = load_plan(plan)
    return Rules(
        max_bytes=config.max_batch_bytes,
        since=moment,
        rate=rate,
        plan=loaded,
        hook=config.before_send,
        types=Types(loaded) if looks_at_types else None,
        privacy=None if config.privacy is None else _again(config.privacy),
    )


def _again(privacy: Privacy) -> Again:
    from ...privacy.again import Again  # noqa: PLC0415 - few ask for it

    return Again(privacy)


def _inputs(
    files: Sequence[str], resume: str | None, to: str | None, *, again: bool
) -> list[Input]:
    keeps = to is not None
    progress_in = partial(Progress, to=to, again=again, keeps=keeps)
    shared = progress_in(resume) if resume is not None else None
    inputs: list[Input] = []
    for path in files:
        source = Source(path)
        if any(source.identity == one.source.identity for one in inputs):
            raise BadInputError(f"{source.name} is given twice")
        progress = shared
        if progress is None and source.is_file:
            progress = progress_in(source.path + REPLAYED)
        has_passed, mark = False, Mark() if progress is None else progress.mark_of(source)
        if source.is_file:
            has_passed, mark = _behind_settled(source, mark)
        inputs.append(Input(source, mark, progress if keeps else None, has_passed=has_passed))
    return inputs


def _behind_settled(source: Source, mark: Mark) -> tuple[bool, Mark]:
    """Tell if it is a segment in its spool; and the mark, then behind what its process delivered.

    Raises:
        BadInputError: It is being delivered.
    """
    try:
        from ..spool.holdings import settled_before  # noqa: PLC0415 - only where there are POSIX locks
    except ModuleNotFoundError:
        return False, mark
    found = settled_before(source.path)
    if found is None:
        return False, mark
    offset, is_held = found
    if is_held:
        raise BadInputError(
            f"{source.name} is held by a living process, which delivers it; "
            "copy it, if it is to go elsewhere, too"
        )
    tell(
        f"{source.name} is part of a spool: the next process that uses that will send it again, "
        "unless it is purged (rudder-logging spool purge)"
    )
    if offset <= mark.offset:
        return True, mark
    return True, replace(mark, offset=offset, line=source.skip_settled(offset))


def _check_writable(inputs: Sequence[Input], rejects: str | None) -> None:
    """Before anything is sent: what can't be noted would be sent again, or be lost."""
    for one in inputs:
        if one.progress is not None:
            one.progress.note(one.source, one.mark)
    for progress in dict.fromkeys(one.progress for one in inputs):
        if progress is not None:
            try:
                progress.save()
            except OSError as error:
                raise BadInputError(
                    f"{progress.path} can't be written: {error.strerror}; name a file with --resume"
                ) from None
    if rejects is None:
        return
    try:
        file = open_file(rejects, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    except OSError as error:
        raise BadInputError(f"{rejects} can't be written: {error.strerror}") from None
    found = os.fstat(file)
    os.close(file)
    for one in inputs:
        if one.source.identity == (found.st_dev, found.st_ino):
            raise BadInputError(f"{rejects} is to be read and to get the rejects; name another")


def _tell_of_earlier(inputs: Sequence[Input]) -> None:
    for one in inputs:
        if one.mark.line and one.progress is not None:
            tell(
                f"{one.source.name}: going on behind line {one.mark.line:,} "
                f"({one.progress.path}; --again sends all of it)"
            )
        if lost := failed(one.mark.tally):
            tell(
                f"{one.source.name}: {events(lost)} of earlier runs did not arrive; those runs "
                "told which, and --dry-run --again tells again which can't be sent"
            )
        if left_out := one.mark.left_out:
            tell(
                f"{one.source.name}: left out, and not looked at again: {events(left_out)} from "
                "before an earlier --since; --again sends all of it"
            )


def _conclude(
    run: Replay,
    inputs: Sequence[Input],
    fault: str | None,
    *,
    is_json: bool,
    dry_run: bool,
    again: bool,
) -> int:
    """Print the counts; return the exit code, or raise what ended it."""
    tally = sum((one.mark.tally for one in inputs), Tally())
    is_whole = not (failed(tally) or any(one.mark.left_out for one in inputs))
    to_send, now = (run.sent, 0) if dry_run else (0, run.sent)
    tally["arrived"] -= to_send
    if is_json:
        is_finished = fault is None and not run.is_interrupted
        show_json(
            {
                **{kind: tally[kind] for kind in KINDS},
                "arrived_now": now,
                "dry_run": dry_run,
                "would_be_sent": to_send,
                "drifting_columns": sorted(run.drifting),
                "finished": is_finished,
                "all_arrived": is_finished and is_whole and not dry_run,
            }
        )
    else:
        text = _summary(tally, now, to_send if dry_run else None)
        if drifting := len(run.drifting):
            text += f"; the types of {drifting:,} column{'s' * (drifting != 1)} drift"
        click.echo(text)
    cure = "--resume FILE would have kept it"
    if all(one.progress is not None for one in inputs):
        cure = "the same command goes on from there"
        if again:
            cure = "without --again, " + cure
    elif dry_run:
        cure = "nothing is sent in a dry run"
    if fault is not None:
        raise FailedError(f"{fault}; {events(now)} arrived in this run; {cure}")
    if run.is_interrupted:
        tell(f"interrupted; {events(now)} arrived in this run; {cure}")
        return ExitCode.INTERRUPTED
    return ExitCode.OK if is_whole else ExitCode.FAILED


def _summary(tally: Tally, now: int, to_send: int | None) -> str:
    """The counts in words; `to_send` is those that a dry run would send."""
    arrived = tally["arrived"]
    text = f"{events(arrived)} arrived"
    if to_send is not None:
        text = f"{events(to_send)} would be sent"
        if arrived:
            text += f" ({arrived:,} arrived before)"
    elif now < arrived:
        text += f" ({arrived - now:,} of them before this run)"
    others = [kind for kind in KINDS if tally[kind] and kind != "arrived"]
    return ", ".join([text, *(f"{tally[kind]:,} {KINDS[kind]}" for kind in others)])
