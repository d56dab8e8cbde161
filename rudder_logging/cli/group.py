"""The sub-commands, and how any of them ends."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any

import click

from .._version import __version__
from .common import EXTRAS, BadInputError, ExitCode, NearestGroup, tell

__all__ = ["COMMANDS", "group", "run"]

COMMANDS: Mapping[str, str] = {
    "serve": "Run a data plane on this machine, with a live page.",
    "send": "Send one event, and wait until the server has it.",
    "replay": "Send events from spools, dead letters and logs.",
    "doctor": "Find out what keeps events from arriving.",
    "spool": "Look into a durable queue, or erase from it.",
    "relay": "Send what apps have appended to Redis or Kafka.",
    "guide": "Read a guide, or search in all of them.",
    "forget": "Erase what there is of people, and have RudderStack suppress them.",
    "codegen": "Write a typed function for each event of a tracking plan.",
    "plan": "Compare tracking plans.",
    "migrate": "Move code from RudderStack's or Segment's SDK to this package.",
}
"""In the order of `--help`. Each is in the module or folder of its name, under the same name.

The words are the first line of its own help (a test compares): here, because help and completion
of the group must not have to import what other commands need.
"""

_SHELLS = """\b
Completion of commands, flags and names of files, in bash, zsh or fish:
  eval "$(_RUDDER_LOGGING_COMPLETE=bash_source rudder-logging)"
  eval "$(_RUDDER_LOGGING_COMPLETE=zsh_source rudder-logging)"
  _RUDDER_LOGGING_COMPLETE=fish_source rudder-logging | source"""


class _EndedError(Exception):
    """Ctrl-C, or a closed pipe, on its way past click, which would make an exit code of its own."""


@contextlib.contextmanager
def _past_click() -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, BrokenPipeError) as end:
        raise _EndedError from end


class _Group(NearestGroup):
    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _past_click():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _past_click():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Loaded only now: the others' imports take time, and may need other extras."""
        if cmd_name not in COMMANDS:
            return None
        try:
            module = import_module(f".{cmd_name}", __package__)
        except ModuleNotFoundError as error:
            extra = EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            return _lacking(cmd_name, extra)
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _lacking(name: str, extra: str) -> click.Command:
    """Stand in for a command that can't be loaded: called, it names the extra that is missing."""

    def complain() -> None:
        extras = ",".join(dict.fromkeys(["cli", extra]))
        raise BadInputError(f"{name} needs an extra: pip install 'rudder-logging[{extras}]'")

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(
        name,
        context_settings=anything,
        callback=complain,
        add_help_option=False,
        help=COMMANDS[name],
    )


_CODES = "\n".join(["\b", "Exit codes:", *(f"  {code:<4d}{code.meaning}" for code in ExitCode)])


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"{_CODES}\n\n{_SHELLS}",
)
@click.version_option(__version__, prog_name="rudder-logging")
def group() -> None:
    """Send, receive and look into RudderStack events, on this machine and without an account.

    Where events go is said by flags, or by RUDDER_WRITE_KEY and RUDDER_DATA_PLANE_URL in the
    environment (which other users of the machine can't see, as they can see flags). Results are
    written to stdout, all else to stderr.
    """


def run(words: Sequence[str] | None = None, app: object = None) -> int:  # noqa: PLR0911 - one return an end
    """Run a sub-command; return the exit code, whatever happened. See `main`."""
    try:
        code = group.main(words, prog_name="rudder-logging", standalone_mode=False, obj=app)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.ClickException as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # from click 8.2
            click.echo(error.format_message(), err=True)
        else:
            tell(_line(error))
        return error.exit_code
    except _EndedError as end:
        if isinstance(end.__cause__, BrokenPipeError):
            return _without_output(end.__cause__)
        tell("interrupted")
        return ExitCode.INTERRUPTED
    except click.Abort:
        tell("Error: no answer; nothing was done")
        return ExitCode.FAILED
    except SystemExit as end:  # of completion
        code = end.code
    except OSError as error:  # what a command reads and writes by name, it looks after itself
        return _without_output(error)
    except Exception as error:  # noqa: BLE001 - a bug of ours; its text might quote an event
        tell(f"Error: a bug in rudder-logging: {type(error).__name__} at {_place(error)}")
        return ExitCode.FAILED
    return code if isinstance(code, int) else ExitCode.OK


def _line(error: click.ClickException) -> str:
    """An error as one line; where the words of the command are wrong, with whom to ask."""
    text = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"Error: {text.rstrip('.')} (see {error.ctx.command_path} --help)"
    return f"Error: {text}"


def _without_output(error: OSError) -> ExitCode:
    """The code, where nothing can be written any more."""
    if sys.stdout is not None:  # so that Python's own last flush does not fail, too
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if isinstance(error, BrokenPipeError):
        return ExitCode.CLOSED_PIPE
    tell(f"Error: the output can't be written: {error.strerror}")
    return ExitCode.FAILED


def _place(error: BaseException) -> str:
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
