"""Looks at a page as axe-core does, and at what is wider than its place."""

from pathlib import Path

import pytest
from playwright.sync_api import Frame, Page, expect

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_RUN = """async (rules) => {
  const found = await axe.run(document, {runOnly: rules, iframes: false, resultTypes: ['violations']});
  if (found.passes.length < 5) throw new Error('axe-core looked at next to nothing');
  return found.violations.flatMap((one) => one.nodes.map(
    (node) => `${one.id}: ${node.target.join(' ')}: ${node.failureSummary}`));
}"""
# What is wider than its box, where nobody can scroll to it or should have to.
_TOO_WIDE = """() => [...document.querySelectorAll('html, main, [role=tabpanel], dialog')]
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
  .map((one) => `${one.localName}#${one.id} is ${one.scrollWidth} wide, and shows ${one.clientWidth}`)"""


class Inspector:
    """Collects what is wrong, by the place where it was found."""

    def __init__(self) -> None:
        if not AXE.is_file():
            pytest.skip("axe-core is not installed: run npm ci in frontend/")
        self._axe = AXE.read_text(encoding="utf-8")
        self.found: list[str] = []

    def look(self, place: str, page: Frame | Page) -> None:
        """Examine what is shown now."""
        page.evaluate(f"if (!window.axe) {{ {self._axe} }}")
        wrong = page.evaluate(_RUN, RULES) + page.evaluate(_TOO_WIDE)
        self.found += [f"{place}: {one}" for one in wrong]

    def dialog(self, place: str, page: Frame | Page, opener: str) -> None:
        """Examine a dialog, and that Escape gives the focus back to what opened it."""
        button = page.locator(opener).first
        button.click()
        expect(page.get_by_role("dialog")).to_be_visible()
        self.look(place, page)
        page.get_by_role("dialog").press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(button).to_be_focused()
