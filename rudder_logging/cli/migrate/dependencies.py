"""Files that say what to install: the lines that name an SDK are told, and left as they are."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

from .remarks import Remark

__all__ = ["names_dependencies", "remarks_on_lines"]

_FILES = (
    "*requirements*.txt",
    "*requirements*.in",
    "*constraints*.txt",
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "Pipfile",
    "environment*.yml",
    "environment*.yaml",
    "tox.ini",
    "noxfile.py",
    "*Dockerfile*",
    ".env*",
)
_SDKS = re.compile(
    r"(?<![\w.-])(rudder[-_.]sdk[-_.]python|segment[-_.]analytics[-_.]python|"
    r"analytics[-_.]python)(?![\w-])",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\s*(?:export\s+)?TEST_DATA_PLANE_URL\s*=")


def names_dependencies(path: Path) -> bool:
    """Tell if a file is of those that say what to install."""
    in_folder = path.parent.name == "requirements" and path.suffix in (".txt", ".in")
    return in_folder or any(fnmatch(path.name, pattern) for pattern in _FILES)


def remarks_on_lines(text: str) -> list[Remark]:
    """The lines that name an SDK, or the variable from which one read its default server."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        if (match := _SDKS.search(line)) is not None:
            found.append(Remark(number, f"depends on {match[0]}: put rudder-logging in its place"))
        elif _VARIABLE.match(line):
            found.append(Remark(number, "the SDK's variable: name it RUDDER_DATA_PLANE_URL"))
    return found
