"""The documentation as a site, as its command builds it."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest

import rudder_logging
from rudder_logging.guides import guides

from .pages import ROOT

pytest.importorskip("sphinx", reason="the extra `docs` is not installed")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder. Whatever there is to warn of fails the command."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "tests.site", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=290,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.strip().endswith("index.html")
    return folder


@cache
def text(path: Path) -> str:
    """A page as it is."""
    return path.read_text()


def test_every_guide_is_a_page_of_the_site(site: Path) -> None:
    """And beside each of them the list of all."""
    for name in guides():
        assert f'href="{name}.html"' in text(site / "guides" / "index.html")
        assert f'href="guides/{name}.html"' in text(site / "index.html")
        assert 'class="current' in text(site / "guides" / f"{name}.html")


def test_links_lead_somewhere(site: Path) -> None:
    """To a page and a place in it, or to a file; and nothing is loaded from elsewhere."""
    seen = 0
    for page in site.rglob("*.html"):
        found = re.findall(r'<(\w+)[^>]*\s(?:href|src)="([^"]+)"', text(page))
        for tag, target in found:
            path, _, anchor = unquote(html.unescape(target)).partition("#")
            if re.match(r"\w+:", path):
                assert (tag, path[:8]) == ("a", "https://"), target
                continue
            file = page.parent / path.partition("?")[0] if path else page
            assert file.exists(), (page.name, target)
            if anchor and file.suffix == ".html":
                assert f'id="{anchor}"' in text(file), (page.name, target)
                seen += 1
    assert seen > len(guides())


def test_reference_has_the_public_names(site: Path) -> None:
    """In the inventory, for other projects' links; so are those that guides import."""
    from sphinx.util.inventory import InventoryFile

    with (site / "objects.inv").open("rb") as stream:
        inventory = InventoryFile.load(stream, "", lambda base, target: base + target)
    named = {name for kind in inventory if kind.startswith("py:") for name in inventory[kind]}
    public = {f"rudder_logging.{name}" for name in rudder_logging.__all__ if name[0] != "_"}
    data = {"rudder_logging.DEFAULT_KEYS", "rudder_logging.EVENT_TYPES"}  # they have no docstring
    assert public - named <= data
