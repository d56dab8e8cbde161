"""The files of a project: which there are, and what becomes of each."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

import libcst as cst

from .dependencies import names_dependencies, remarks_on_lines
from .names import CALLS, SDKS
from .remarks import Remark, remarks_on
from .rewriting import rewritten
from .uses import Source

__all__ = ["Moved", "files_in", "moved", "own_analytics"]

_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "build", "dist"})
_WORTH_A_LOOK = re.compile(
    rb"rudderstack|rudder_analytics|segment|\b(?:import|from)[^\n#]*\banalytics\b|"
    rb"['\"]analytics\.|rudder_logging"
)
"""Only what has a match is parsed: that takes 0.1 ms a line, and to know its names 1.5."""
_HAS_A_CALL = re.compile(rf"\b(?:analytics\.)?(?:{'|'.join(sorted(CALLS))}|write_key)\b")
_IMPORTS_SEGMENTS = re.compile(
    r"^[ \t]*(?:(?:import|from)[ \t]+(?:segment\.)?analytics\b|from[ \t]+segment[ \t]+import\b)",
    re.MULTILINE,
)
_SETS_HOST = re.compile(r"\b(?:host|data_plane_url|dataPlaneUrl)\s*=")
_IMPORTS_ANALYTICS = re.compile(r"^[ \t]*(?:import|from)[ \t]+analytics\b", re.MULTILINE)


@dataclass
class Moved:
    """One file, and what becomes of it."""

    path: Path
    before: bytes = b""
    after: bytes = b""
    encoding: str = "utf-8"
    remarks: list[Remark] = field(default_factory=list)
    """With the lines of the file as it is."""
    fault: str = ""
    """Why it can't be read; it is left as it is."""
    is_segments: bool = False
    """It comes from Segment's SDK, which knows its server."""
    sets_host: bool = False

    @property
    def changes(self) -> bool:
        """True if it becomes another."""
        return self.before != self.after

    def lines(self) -> tuple[list[str], list[str]]:
        """The lines before and after."""
        texts = (one.decode(self.encoding) for one in (self.before, self.after))
        old, new = ([*_lines(text)] for text in texts)
        return old, new

    def remarks_after(self) -> list[Remark]:
        """The remarks, with the lines of the file as it becomes."""
        if not self.changes:
            return self.remarks
        shifts = SequenceMatcher(None, *self.lines(), autojunk=False).get_opcodes()

        def line_after(line: int) -> int:
            for _, old, old_end, new, new_end in shifts:
                if old <= line - 1 < old_end:
                    return min(new + line - 1 - old, max(new, new_end - 1)) + 1
            return line

        return [Remark(line_after(remark.line), remark.text) for remark in self.remarks]


def _lines(text: str) -> Iterator[str]:
    """Lines as Python and diffs count them: `splitlines` also ends them at a form feed."""
    yield from re.findall(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$", text)


def files_in(paths: Iterable[Path]) -> Iterator[Path]:
    """The files to look at, each once: those that are named, and in directories those of interest.

    Directories whose names begin with a dot, virtual environments and what was built are left out.
    """
    seen: set[Path] = set()
    for path in paths:
        for file in _within(path) if path.is_dir() else [path]:
            if file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _within(top: Path) -> Iterator[Path]:
    for directory, folders, names in os.walk(top):
        here = Path(directory)
        folders[:] = sorted(name for name in folders if not _is_skipped(here / name))
        for name in sorted(names):
            path = here / name
            of_interest = path.suffix in (".py", ".pyi") or names_dependencies(path)
            if of_interest and path.is_file():
                yield path


def _is_skipped(folder: Path) -> bool:
    name = folder.name
    return name.startswith(".") or name in _SKIPPED or (folder / "pyvenv.cfg").exists()


def own_analytics(files: Collection[Path]) -> Path | None:
    """A module `analytics` that the project can import as such: not one within a package."""
    for file in files:
        above = file.parent
        if file.name == "analytics.py" and not (above / "__init__.py").exists():
            return file
        is_package = above.name == "analytics" and file.name == "__init__.py"
        if is_package and not (above.parent / "__init__.py").exists():
            return above
    return None


def moved(path: Path, own: Path | None) -> Moved | None:
    """A file and its fate; None: it has nothing to do with an SDK.

    Args:
        path: The file.
        own: The project's own module `analytics`, if it has one.
    """
    result = Moved(path)
    try:
        result.before = result.after = path.read_bytes()
    except OSError as error:
        result.fault = f"can't be read: {error.strerror}"
        return result
    if names_dependencies(path):
        result.remarks = remarks_on_lines(result.before.decode("utf-8", "replace"))
    if path.suffix in (".py", ".pyi") and _WORTH_A_LOOK.search(result.before):
        _move(result, own)
    return result if result.changes or result.remarks or result.fault else None


def _move(result: Moved, own: Path | None) -> None:
    try:
        _move_source(result, cst.parse_module(result.before), own)
    except cst.ParserSyntaxError as error:
        result.fault = f"line {error.raw_line}: a syntax error"
    except (UnicodeDecodeError, LookupError, SyntaxError):
        result.fault = "its text is not in the encoding that it says, or in UTF-8"
    except RecursionError:
        result.fault = "it is nested too deeply"


def _move_source(result: Moved, module: cst.Module, own: Path | None) -> None:
    result.encoding = module.encoding
    text = module.code
    known = [name for name, sdk in SDKS.items() if not sdk.is_ambiguous]
    imports_analytics = _IMPORTS_ANALYTICS.search(text)
    if own is None and (_HAS_A_CALL.search(text) or not imports_analytics):
        known.append("analytics")
    elif own is not None and imports_analytics and _HAS_A_CALL.search(text):
        line = text.count("\n", 0, imports_analytics.start()) + 1
        result.remarks.append(
            Remark(line, f"is this analytics {own}, or Segment's SDK? It was left as it is")
        )
    source = Source(module, known)
    result.remarks += remarks_on(source)
    result.after = rewritten(source).bytes
    result.is_segments = result.changes and _IMPORTS_SEGMENTS.search(text) is not None
    result.sets_host = _SETS_HOST.search(text) is not None
