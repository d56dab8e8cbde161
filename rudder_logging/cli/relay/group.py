"""`rudder-logging relay URL`, which runs the process, and the commands beside it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

from ..common import NearestGroup
from .run import run

__all__ = ["SUBCOMMANDS", "relay"]

SUBCOMMANDS: Mapping[str, str] = {
    "status": "Show what waits in an engine, and who delivers it.",
    "forget": "Have relays leave out what waits of a person.",
}
"""Each is in the module of its name, under the same name. The words are its help's first line."""


_RUN = "run"


class _Relay(NearestGroup):
    """A group in which words that name no command are those of the process itself."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        is_its_own = not args or args[0] not in (*SUBCOMMANDS, *ctx.help_option_names)
        return super().parse_args(ctx, [_RUN, *args] if is_its_own else args)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order of the help."""
        return list(SUBCOMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """See click."""
        if args[0] == _RUN:
            return _RUN, run, args[1:]
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Loaded only now, as those of the command itself are."""
        if cmd_name not in SUBCOMMANDS:
            return None
        command: click.Command = getattr(import_module(f".{cmd_name}", __package__), cmd_name)
        return command

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Of the process itself."""
        return run.collect_usage_pieces(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the flags of the process, then the commands."""
        run.format_options(ctx, formatter)
        if SUBCOMMANDS:
            with formatter.section("Commands"):
                formatter.write_dl(list(SUBCOMMANDS.items()))


relay = _Relay("relay", help=run.help, epilog=run.epilog)
