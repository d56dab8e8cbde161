"""`rudder-logging codegen`: its words, and its files."""

from __future__ import annotations

import ast
import difflib
from pathlib import Path

import click

from ...exceptions import ConfigError
from ..common import FILE, BadInputError, FailedError, read_plan, tell
from .module import write

__all__ = ["codegen"]

_MOST_LINES = 40


@click.command()
@click.argument("plan", type=FILE)
@click.option("-o", "--output", metavar="FILE", type=FILE, help="Write there, not to stdout.")
@click.option("--check", is_flag=True, help="Write nothing; end with 1 if FILE is out of date.")
@click.option(
    "--logger",
    metavar="NAME",
    default="rudder",
    show_default=True,
    help="The logger that the events go to.",
)
def codegen(*, plan: str, output: str | None, check: bool, logger: str) -> None:
    """Write a typed function for each event of a tracking plan.

    PLAN is the JSON that `conforms_to()` and --plan of other commands take: RudderStack's own
    export, or JSON Schemas by event. The module is the same for the same plan. --check is for CI:
    a file that a formatter has laid out anew is up to date.

    \b
    rudder-logging codegen plan.json -o app/events.py
    rudder-logging codegen plan.json -o app/events.py --check
    """  # noqa: D301 - click's own sign: do not wrap
    read = read_plan(plan)
    try:
        written = write(read, logger)
    except ConfigError as error:
        raise BadInputError(str(error)) from None
    for warning in written.warnings:
        tell(f"Warning: {warning}")
    if check:
        _check(output, written.text, plan)
    elif output is None:
        click.echo(written.text, nl=False)
    else:
        _write(Path(output), written.text)


def _write(path: Path, text: str) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise BadInputError(f"{path} can't be written: {error.strerror}") from None
    tell(f"{path} is written")


def _check(output: str | None, text: str, plan: str) -> None:
    if output is None:
        raise BadInputError("--check needs the file to look at; give it with -o")
    try:
        there = Path(output).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FailedError(f"{output} does not exist; {_cure(plan, output)}") from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise BadInputError(f"{output} can't be read: {why}") from None
    if _meaning(there) == _meaning(text):
        tell(f"{output} is up to date")
        return
    lines = difflib.unified_diff(
        there.splitlines(), text.splitlines(), output, "what the plan makes", n=1, lineterm=""
    )
    shown = list(lines)
    for line in shown[:_MOST_LINES]:
        click.echo(line)
    if len(shown) > _MOST_LINES:
        click.echo(f"... and {len(shown) - _MOST_LINES} more lines")
    raise FailedError(f"{output} is out of date; {_cure(plan, output)}")


def _cure(plan: str, output: str) -> str:
    return f"write it by: rudder-logging codegen {plan} -o {output}"


def _meaning(text: str) -> str:
    """The code without its layout, which an app's formatter may have changed."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
            doc = ast.get_docstring(node)
            if doc is not None:
                node.body[0] = ast.Expr(ast.Constant(doc))
    return ast.dump(tree)
