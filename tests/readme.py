"""The README's generated tables: `python -m tests.readme` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rudder_logging.config import OPTIONS
from rudder_logging.events.table import EVENT_TYPES

from .benchmarks.report import RESULTS, Report
from .benchmarks.table import markdown as benchmarks
from .faults.table import markdown as faults

README = Path(__file__).parent.parent / "README.md"


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


def filled(text: str) -> str:
    """The README with its tables as they have to be."""
    tables = {
        "event types": event_types(),
        "options": options(),
        "faults": faults(),
        "benchmarks": benchmarks(Report.read(RESULTS)),
    }
    for title, table in tables.items():
        pattern = rf"(<!-- {title}: begin [^\n]*-->\n).*?(<!-- {title}: end -->)"
        match = re.search(pattern, text, flags=re.DOTALL)
        if match is None:
            raise ValueError(f"README.md needs a place for the table of {title}")
        text = f"{text[: match.start()]}{match[1]}{table}\n{match[2]}{text[match.end() :]}"
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text()))
