"""The generated tables of the guides: `python -m tests.readme` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from rudder_logging.cli.common import ExitCode
from rudder_logging.cli.group import group
from rudder_logging.config import OPTIONS
from rudder_logging.events.table import EVENT_TYPES
from rudder_logging.handler.measures import MEASURES
from rudder_logging.relay.redis_commands import APPENDING, FORGETTING, LOOKING, RELAYING

from .benchmarks.relays import table as relays
from .benchmarks.relays.capacity import markdown as capacity
from .benchmarks.relays.table import RESULTS as RELAYS
from .benchmarks.report import RESULTS, Report
from .benchmarks.table import markdown as benchmarks
from .faults.relays.rows import markdown as relay_faults
from .faults.table import markdown as faults

README = Path(__file__).parent.parent / "README.md"
GUIDES = README.parent / "rudder_logging" / "guides"


def event_types() -> str:
    """The table of the seven types."""
    lines = ["| `type` | what for | its own fields (**required**) |", "|---|---|---|"]
    for row in EVENT_TYPES.values():
        fields = [f"**`{f.arg}`**" if f.required else f"`{f.arg}`" for f in row.own_fields]
        lines.append(f"| `{row.name}` | {row.doc} | {', '.join(fields)} |")
    return "\n".join(lines)


def shown(name: str, default: Any, unit: str) -> str:
    """A default as a reader wants it."""
    if name in ("write_key", "data_plane_url"):
        return "required"
    if default is None:
        return "none"
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, Mapping):
        return f"`{dict(default)}`"
    if isinstance(default, str):
        return f"`{default}`"
    return f"{default:,} {unit}".strip()


def options() -> str:
    """The table of all options."""
    lines = ["| option | default | |", "|---|---|---|"]
    for name, field in OPTIONS.items():
        default = shown(name, field.metadata["default"], field.metadata["unit"])
        lines.append(f"| `{name}` | {default} | {field.metadata['doc']} |")
    return "\n".join(lines)


COMMAND_GUIDES = {
    "codegen": "typed-events",
    "forget": "privacy",
    "guide": "index",
    "migrate": "migration",
    "plan": "typed-events",
}
"""Where more is said of a command, if it has no guide of its own name."""


def commands() -> str:
    """The table of the sub-commands, with the first line of each one's help."""
    lines = ["| command | |", "|---|---|"]
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        guide = COMMAND_GUIDES.get(name, name)
        # In the last column: in a terminal, what is broken there into lines still stands together.
        more = f" [More]({guide}.md)." if (GUIDES / f"{guide}.md").exists() else ""
        first = command.get_short_help_str(limit=200) if command else ""
        lines.append(f"| `{name}` | {first}{more} |")
    return "\n".join(lines)


def exit_codes() -> str:
    """The table of the command's exit codes."""
    rows = [f"| {code:d} | {code.meaning} |" for code in ExitCode]
    return "\n".join(["| exit code | |", "|---|---|", *rows])


def metrics() -> str:
    """The table of the handlers' metrics."""
    lines = ["| name | kind | |", "|---|---|---|"]
    for measure in MEASURES:
        kind = "counter" if measure.counts else "gauge"
        name = measure.prometheus + "_total" * measure.counts
        lines.append(f"| `{name}` | {kind} | {measure.doc} |")
    return "\n".join(lines)


def users() -> str:
    """The users of a Redis."""
    looking = sorted({*LOOKING, *FORGETTING})
    commands = {"app": APPENDING, "relay": RELAYING, "operator": looking}
    lines = [
        f"user {user} on >{user.upper()}-PASSWORD ~rudder:* resetchannels -@all "
        + " ".join(f"+{name.lower()}" for name in names)
        for user, names in commands.items()
    ]
    return "\n".join(["```text", *lines, "```"])


GENERATED: Mapping[Path, Mapping[str, Callable[[], str]]] = {
    GUIDES / "events.md": {"event types": event_types},
    GUIDES / "options.md": {"options": options},
    GUIDES / "faults.md": {"faults": faults},
    GUIDES / "performance.md": {"benchmarks": lambda: benchmarks(Report.read(RESULTS))},
    GUIDES / "command.md": {"commands": commands, "exit codes": exit_codes},
    GUIDES / "relay-guarantees.md": {"relay faults": relay_faults},
    GUIDES / "metrics.md": {"metrics": metrics},
    GUIDES / "relay-operations.md": {"users": users},
    GUIDES / "capacity.md": {
        "capacity": lambda: capacity(Report.read(RELAYS)),
        "relays": lambda: relays.markdown(Report.read(RELAYS)),
    },
}
"""What makes each table, by its title, of the files that have some."""


def filled(path: Path) -> str:
    """A file's text with its tables as they have to be."""
    text = path.read_text()
    for title, made in GENERATED[path].items():
        pattern = rf"(<!-- {title}: begin [^\n]*-->\n).*?(<!-- {title}: end -->)"
        match = re.search(pattern, text, flags=re.DOTALL)
        if match is None:
            raise ValueError(f"{path.name} needs a place for the table of {title}")
        text = f"{text[: match.start()]}{match[1]}{made()}\n{match[2]}{text[match.end() :]}"
    return text


if __name__ == "__main__":
    for path in GENERATED:
        path.write_text(filled(path))
