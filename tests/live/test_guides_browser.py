"""The guides in a real browser: read, searched, copied, at any width."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from rudder_logging.dataplane.live import LivePlane
from rudder_logging.guides import guides

pytestmark = pytest.mark.slow

LUMINANCE = """element => {
    const channels = text => text.match(/[\\d.]+/g).slice(0, 3).map(value => {
        const part = value / 255;
        return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    const light = text => {
        const [red, green, blue] = channels(text);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const pre = getComputedStyle(element.closest("pre")).backgroundColor;
    const [one, other] = [light(getComputedStyle(element).color), light(pre)];
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}"""
"""The contrast of an element of code to its block, as WCAG reckons it."""


def test_from_the_live_page_to_a_guide(page: Page, live: LivePlane) -> None:
    """By its link, and the index's; back again; the chosen colours stay."""
    page.goto(live.url)
    page.click("#theme")
    page.get_by_role("link", name="Guides", exact=True).click()
    expect(page).to_have_title(re.compile("Guides"))
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.get_by_role("article").get_by_role("link", name="Django", exact=True).click()
    expect(page.get_by_role("article").get_by_role("heading", level=1)).to_have_text("Django")
    expect(page.get_by_role("navigation").locator("[aria-current=page]")).to_have_text("Django")
    page.get_by_role("link", name="Live page").click()
    expect(page.locator("#status")).to_have_text("live")


def test_search_as_it_is_typed(page: Page, live: LivePlane) -> None:
    """By keyboard; a line that is found leads to its section; the search can be shared."""
    page.goto(f"{live.url}/guides/wsgi")
    page.keyboard.press("/")
    page.keyboard.type("atomic")
    expect(page.locator("#count")).to_contain_text("these words")
    expect(page.locator("#article")).to_be_hidden()
    expect(page.locator("#pages mark").first).to_have_text(re.compile("atomic", re.IGNORECASE))
    assert page.url.endswith("?q=atomic")
    page.reload()
    hit = page.locator("#pages > li", has=page.get_by_role("link", name="Django", exact=True))
    hit.locator("ul a").first.click()
    expect(page).to_have_url(re.compile(r"/guides/django#\w"))
    anchor = page.url.partition("#")[2]
    expect(page.locator(f"[id='{anchor}']")).to_be_in_viewport()
    page.keyboard.press("/")
    page.keyboard.type("zzzz (")
    expect(page.locator("#count")).to_have_text("No guide has all of these words")
    page.keyboard.press("Escape")
    expect(page.locator("#article")).to_be_visible()
    expect(page.locator("#found")).to_be_hidden()


def test_code_can_be_read_and_copied(page: Page, live: LivePlane) -> None:
    """In both colours, its parts stand out from the block; a copy is the code, and only that."""
    page.goto(f"{live.url}/guides/wsgi")
    code = page.locator("article pre code").first
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        parts = code.locator("span").all()
        assert len(parts) > 20
        assert min(part.evaluate(LUMINANCE) for part in parts) >= 4.5
        assert len({part.evaluate("e => getComputedStyle(e).color") for part in parts}) >= 4
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live.url)
    page.get_by_role("button", name="Copy").first.click()
    expect(page.locator("#toast")).to_have_text("Code copied")
    assert page.evaluate("navigator.clipboard.readText()") == code.text_content()


def test_every_guide_fits_a_phone(page: Page, live: LivePlane) -> None:
    """No page is wider than the screen; all its pictures are there."""
    page.set_viewport_size({"width": 360, "height": 640})
    for name in guides():
        page.goto(f"{live.url}/guides/{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
        script = "[...document.images].every(image => image.complete && image.naturalWidth)"
        page.wait_for_function(script)
