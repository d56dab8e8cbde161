"""The documentation as a site: `python -m tests.site OUT` builds it, and stops at any warning.

README is its front page; the guides, the changelog and a reference of the public names follow. It
needs the extra `docs`, and no network: `--python` has the reference link Python's own
documentation, whose list of names it then fetches.
"""

from __future__ import annotations

import argparse
import importlib
import os
import posixpath
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from rudder_logging import __version__
from rudder_logging.guides import INDEX, guides

ROOT = Path(__file__).parent.parent
GUIDES = "rudder_logging/guides"
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "tests/README.md": "rules.md"}
"""Where the repository's pages stand in the site, but for the guides."""

INTEGRATIONS = sorted(
    f"rudder_logging.integrations.{path.stem}"
    for path in (ROOT / "rudder_logging" / "integrations").glob("[a-z]*")
)
MODULES = [
    "rudder_logging",
    "rudder_logging.testing",
    "rudder_logging.dataplane",
    "rudder_logging.queues",
    "rudder_logging.sinks",
    "rudder_logging.relay.source",
    "rudder_logging.metrics",
    *INTEGRATIONS,
]
"""What a user imports."""

_FENCE = re.compile(r"( *)```(\w*)")
_LINK = re.compile(r"(\]\()([\w./-]+)((?:#[\w-]+)?\))")


def sources(folder: Path) -> None:
    """Write what the site is built from."""
    shutil.copytree(ROOT / GUIDES, folder / "guides", ignore=shutil.ignore_patterns("*.py", "__*"))
    shutil.copy(ROOT / "rudder_logging/dataplane/live/static/icon.svg", folder)
    for page, place in PAGES.items():
        text = moved(page, (ROOT / page).read_text())
        (folder / place).write_text(text + contents() if place == "index.md" else text)
    (folder / "reference.md").write_text("\n".join(reference()))


def moved(page: str, text: str) -> str:
    """A page of the repository with its links as they are in the site."""

    def lead(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), match[2]))
        place = PAGES.get(target, target.replace(GUIDES, "guides"))
        return f"{match[1]}{posixpath.relpath(place, posixpath.dirname(PAGES[page]))}{match[3]}"

    return _LINK.sub(lead, text)


def contents() -> str:
    """The table of contents, which readers find beside each page."""
    groups = {"Guides": [f"guides/{INDEX}"]}
    for group, members in groupby(guides().values(), lambda each: each.group):
        groups[group] = [f"guides/{each.name}" for each in members]
    groups["Reference"] += ["reference", "rules", "changelog"]
    return "".join(
        "\n".join(["\n```{toctree}", ":hidden:", f":caption: {group}", "", *pages, "```\n"])
        for group, pages in groups.items()
    )


def reference() -> Iterator[str]:
    """The page of the public names, module by module, each where it is met first."""
    yield "# Public names\n"
    seen: set[int] = set()
    for name in MODULES:
        module = importlib.import_module(name)
        things = {each: id(getattr(module, each)) for each in module.__all__}
        again = [each for each, thing in things.items() if thing in seen]
        seen |= {*things.values()}
        options = f"   :exclude-members: {', '.join(again)}\n" if again else ""
        yield f"## `{name}`\n\n```{{eval-rst}}\n.. automodule:: {name}\n{options}```\n"


def as_restructured(
    _app: Any, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]
) -> None:
    """Have Sphinx take code for code in a docstring: what is fenced, or stands apart, indented."""
    text, is_code, before = [], False, ""
    for line in lines:
        fence = _FENCE.fullmatch(line)
        if fence:
            is_code = not is_code
            text += ["", f"{fence[1]}.. code-block:: {fence[2]}"] if is_code else []
            text.append("")
            continue
        if line.startswith("    ") and text and not text[-1] and before[:1] != " " and not is_code:
            text += ["::", ""]
        text.append(f"    {line}" if is_code else line)
        before = line or before
    lines[:] = text


def build(folder: Path, out: Path, *, links_python: bool = False) -> int:
    """Build the site; return 0 if there was nothing to warn of."""
    from sphinx.application import Sphinx

    sources(folder)
    settings = {
        "project": "rudder_logging",
        "version": __version__,
        "release": __version__,
        "html_title": f"rudder_logging {__version__}",
        "html_theme": "furo",
        "html_favicon": "icon.svg",
        "html_show_copyright": False,
        "extensions": [
            "myst_parser",
            "sphinx.ext.autodoc",
            "sphinx.ext.napoleon",
            "sphinx.ext.intersphinx",
        ],
        "intersphinx_mapping": (
            {"python": ("https://docs.python.org/3", None)} if links_python else {}
        ),
        "myst_heading_anchors": 6,
        "default_role": "code",  # docstrings have `names` in single backticks
        "autodoc_default_options": {"members": True, "imported-members": True},
        "autodoc_member_order": "bysource",
        "python_maximum_signature_line_length": 90,
        "show_warning_types": True,
    }
    app = Sphinx(
        folder,
        None,
        out,
        folder / ".doctrees",
        "html",
        settings,
        status=None,
        warningiserror=True,
        keep_going=True,
        freshenv=True,
    )
    app.connect("autodoc-process-docstring", as_restructured, priority=400)  # before napoleon
    app.build()
    code: int = app.statuscode
    return code


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="python -m tests.site", description=__doc__)
    parser.add_argument("out", type=Path, help="where to: a folder, which may be there already")
    parser.add_argument("--python", action="store_true", help="link Python's own documentation")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        code = build(Path(folder), given.out.resolve(), links_python=given.python)
    if not code:
        sys.stdout.write(f"the site is at {given.out / 'index.html'}{os.linesep}")
    return code


if __name__ == "__main__":
    sys.exit(main())
