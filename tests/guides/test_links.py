"""What README and guides lead to is there."""

from __future__ import annotations

import re
from pathlib import Path

from ..each import each
from ..site import MODULES
from .pages import PAGES, README, ROOT, anchors, blocks, targets


@each("page", PAGES)
def test_links_lead_to_a_heading(page: Path) -> None:
    """Of a file that is there, or of the page itself."""
    for target in targets(page):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@each("page", PAGES)
def test_files_that_pages_name_exist(page: Path) -> None:
    """Paths of this repository stand in prose as `examples/quickstart.py`."""
    named = re.findall(r"`((?:examples|rudder_logging|tests)/[\w/.-]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


@each("page", [page for page in PAGES if page != README])
def test_guides_link_guides_only(page: Path) -> None:
    """Or their pictures, or the web: the terminal, `/guides` and the wheel have nothing else."""
    inside = [target for target in targets(page) if not re.match(r"\w+:", target)]
    assert [target for target in inside if "/" in target] == []


@each("page", PAGES)
def test_what_pages_import_is_in_the_reference(page: Path) -> None:
    """Each module of the package that a page tells to import is documented by the site."""
    code = "".join(block.code for block in blocks(page, "python"))
    told = re.findall(r"^\s*(?:from|import) (rudder_logging[\w.]*)", code, re.MULTILINE)
    assert {*told} <= {*MODULES}


def test_readme_leads_to_the_guides() -> None:
    """To the index, which has all of them."""
    assert "rudder_logging/guides/index.md" in targets(README)
