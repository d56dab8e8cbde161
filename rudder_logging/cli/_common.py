"""What the sub-commands share: exit codes, errors, and options of the package's own table."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeVar

import click

from ..config import OPTIONS

__all__ = ["BadInputError", "ExitCode", "FailedError", "config_options"]

_F = TypeVar("_F", bound=Callable[..., Any])


class ExitCode(IntEnum):
    """What the command ends with. The README's table is held to it."""

    OK = 0
    """All is well, or all has arrived."""
    FAILED = 1
    """Something did not arrive, or was found to be wrong."""
    BAD_INPUT = 2
    """The command's words, or what they name, are wrong; nothing was sent."""
    INTERRUPTED = 130
    """Ctrl-C."""
    CLOSED_PIPE = 141
    """Whoever read the output went away."""


class FailedError(click.ClickException):
    """Ends the command with one line on stderr, and `ExitCode.FAILED`."""

    exit_code = ExitCode.FAILED


class BadInputError(click.ClickException):
    """Ends the command with one line on stderr, and `ExitCode.BAD_INPUT`."""

    exit_code = ExitCode.BAD_INPUT


def config_options(*names: str) -> Callable[[_F], _F]:
    """Flags for options of the package, made of its table: `--write-key`, `--data-plane-url`.

    The command gets what was given as text or None, to pass to `Config.load` or `RudderHandler`,
    which read the environment for what is None.
    """

    def decorate(command: _F) -> _F:
        for name in reversed(names):
            metadata = OPTIONS[name].metadata
            variable = f"RUDDER_{name.upper()}"
            flag = f"--{name.replace('_', '-')}"
            text = f"{metadata['doc']} [env: {variable}]"
            command = click.option(flag, name, help=text)(command)
        return command

    return decorate
