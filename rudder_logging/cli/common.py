"""Shared by the sub-commands: exit codes, errors, output, and options of the package's table."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TypeVar

import click
import orjson

from ..checks.plan import TrackingPlan
from ..common.printable import printable, printable_json
from ..config import OPTIONS, Config, parsers
from ..events.table import nearest
from ..exceptions import ConfigError
from ..handler.setup import check_files
from .app import App

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "CONNECTION",
    "EXTRAS",
    "FILE",
    "BadInputError",
    "ExitCode",
    "FailedError",
    "NearestGroup",
    "app_around",
    "config_options",
    "events",
    "load_config",
    "load_plan",
    "on_signals",
    "quiet",
    "read_plan",
    "show_json",
    "tell",
]

_F = TypeVar("_F", bound=Callable[..., Any])


class ExitCode(IntEnum):
    """Exit code of the command, with its meaning. `--help` and the guide print the table."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """An integer with its meaning beside it."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "All is well, or all has arrived."
    FAILED = 1, "Something did not arrive, or was found to be wrong."
    BAD_INPUT = 2, "The command's words, or what they name, are wrong; nothing was sent."
    INTERRUPTED = 130, "Ctrl-C. What was acknowledged until then has arrived."
    CLOSED_PIPE = 141, "Whoever read the output went away."


class FailedError(click.ClickException):
    """Ends the command with one line on stderr, and `ExitCode.FAILED`."""

    exit_code = ExitCode.FAILED


class BadInputError(click.ClickException):
    """Ends the command with one line on stderr, and `ExitCode.BAD_INPUT`."""

    exit_code = ExitCode.BAD_INPUT


class NearestGroup(click.Group):
    """A group that names the nearest command when it has none of that name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which they were added."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click. Without that, an unknown name is an error."""
        known = dict.fromkeys(self.list_commands(ctx))
        name = args[0]
        if name not in known and not name.startswith("-"):
            ctx.fail(f"there is no {name!r}{nearest(name, known)}; there are {', '.join(known)}")
        return super().resolve_command(ctx, args)


CONNECTION = (
    "write_key",
    "data_plane_url",
    "relay",
    "source",
    "timeout",
    "gzip",
    "proxies",
    "ca_bundle",
    "client_cert",
)
"""The options that a command needs to reach a data plane, or a relay's engine."""


EXTRAS = {"rich": "cli", "h11": "dataplane", "jsonschema": "plan", "libcst": "migrate"}
"""Which extra installs a package that may be missing."""

FILE = click.Path(readable=False)
"""A file's name, which the shell completes. It may be none, like `-`: a command looks by itself."""

_METAVARS = {
    parsers.seconds: "SECONDS",
    parsers.positive_seconds: "SECONDS",
    parsers.write_key: "KEY",
    parsers.data_plane_url: "URL",
    parsers.relay: "URL",
    parsers.source: "NAME",
    parsers.flag: "on|off",
    parsers.path: "FILE",
    parsers.path_from_here: "FILE",
    parsers.client_cert: "FILE",
    parsers.proxies: "JSON",
}


def config_options(*names: str) -> Callable[[_F], _F]:
    """Flags for options of the package, made of its table: `--write-key`, `--data-plane-url`.

    The command gets what was given as text or None, to pass to `load_config` or `RudderHandler`,
    which read the environment for what is None.
    """

    def decorate(command: _F) -> _F:
        for name in reversed(names):
            metadata = OPTIONS[name].metadata
            flag = f"--{name.replace('_', '-')}"
            unit = metadata["unit"]
            default = metadata["default"]
            known = f"; default: {default:g} {unit}" if unit else ""
            text = f"{metadata['doc']} [env: RUDDER_{name.upper()}{known}]"
            metavar = _METAVARS.get(metadata["parse"], "TEXT")
            kind = FILE if metavar == "FILE" else None
            command = click.option(flag, name, metavar=metavar, help=text, type=kind)(command)
        return command

    return decorate


def app_around() -> App | None:
    """The app that the command runs within, if it does."""
    return click.get_current_context().find_object(App)


def said(name: str) -> str | None:
    """The text of an option of the app that the command runs within, or else of the environment."""
    app = app_around()
    within = None if app is None else app.options.get(name)
    return within if isinstance(within, str) else os.environ.get(f"RUDDER_{name.upper()}") or None


def load_config(**given: Any) -> Config:
    """The package's options: flags win over the app's, and those over the environment.

    Raises:
        BadInputError: One is missing, or can't be right.
    """
    app = app_around()
    if app is not None:
        own = dict(app.options)
        if given.get("data_plane_url") is not None or given.get("sink") is not None:
            own.pop("relay", None)  # the flag says where to
        given = {k: own.get(k) if value is None else value for k, value in given.items()}
    try:
        config = Config.load(**given)
        if config.ca_bundle or config.client_cert:
            check_files(config)
    except ConfigError as error:
        raise BadInputError(str(error)) from None
    return config


def load_plan(path: str | None) -> TrackingPlan | None:
    """The tracking plan that a flag `--plan` names.

    Raises:
        BadInputError: It is none, or the extra `plan` is missing.
    """
    return None if path is None else read_plan(path, "--plan: ")


def read_plan(path: str, flag: str = "") -> TrackingPlan:
    """A tracking plan.

    Raises:
        BadInputError: See `load_plan`; `flag` is put before it.
    """
    try:
        return TrackingPlan.load(path)
    except (ConfigError, ImportError) as error:
        raise BadInputError(f"{flag}{error}") from None


def privacy_option() -> Callable[[_F], _F]:
    """The flag `--privacy`, whose file's JSON is the option's value."""
    text = "A file with the option privacy as JSON. [env: RUDDER_PRIVACY, the JSON itself]"
    return click.option(
        "--privacy", metavar="FILE", type=FILE, callback=_content_of_file, help=text
    )


def _content_of_file(_context: object, _option: object, path: str | None) -> str | None:
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            return file.read()
    except OSError as error:
        raise BadInputError(f"--privacy: {path} can't be read: {error.strerror}") from None
    except ValueError:
        raise BadInputError(f"--privacy: {path} is no text") from None


@contextlib.contextmanager
def on_signals(act: Callable[[int, object], None]) -> Iterator[None]:
    """Have Ctrl-C and SIGTERM call a function."""
    before = {number: signal.signal(number, act) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def quiet() -> None:
    """Keep the package's own log lines off stderr, where the command says it in its own."""
    logger = logging.getLogger("rudder_logging")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def events(number: int) -> str:
    """A number of events in words: `1 event`, `2,000 events`."""
    return f"{number:,} event" if number == 1 else f"{number:,} events"


def tell(line: str) -> None:
    """Print one line on stderr, where everything goes that is no result."""
    click.echo(printable(line), err=True)


def show_json(result: object) -> None:
    """Print a result as one line of JSON."""
    click.echo(printable_json(orjson.dumps(result)))
