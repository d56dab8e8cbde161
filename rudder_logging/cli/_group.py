"""The sub-commands, and how any of them ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from .._version import __version__
from ._common import ExitCode

__all__ = ["group", "run"]

_COMMANDS = ("serve", "send", "replay", "doctor", "spool")
"""In the order of `--help`. Each is the command of that name in the module `_<name>`."""


class _Group(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Loaded only now: the others' imports take time, and may need other extras."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"._{cmd_name}", __package__), cmd_name)
        return command


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rudder-logging")
def group() -> None:
    """Send, receive and look into RudderStack events, on this machine and without an account."""


def run(words: Sequence[str] | None = None) -> int:
    """Run a sub-command; return the exit code, whatever happened."""
    try:
        code = group.main(words, prog_name="rudder-logging", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted\n")
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # So that Python's own last flush does not fail, too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.CLOSED_PIPE
    return code if isinstance(code, int) else ExitCode.OK
