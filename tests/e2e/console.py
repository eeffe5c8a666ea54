"""Operators in a browser: signed in with the token, on a page of the console."""

from playwright.sync_api import Page, expect

from tests.e2e.people import LIMIT, Person

TOKEN = "operator-token-of-the-console-tests"


def sign_in(person: Person, path: str = "/ops", title: str = "Overview") -> Page:
    """A page of the console, from its sign-in on; returns when the page is there and hears events."""
    page = person.context.new_page()
    page.goto(f"{person.server.url}{path}")
    page.get_by_label("Operators' token").fill(TOKEN)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible(timeout=LIMIT)
    expect(page.get_by_role("banner").get_by_role("status")).to_have_text("Live", timeout=LIMIT)
    return page


def go(page: Page, name: str) -> None:
    """Open a page by the navigation, which a narrow screen keeps in a menu."""
    menu = page.get_by_role("button", name="Menu")
    if menu.is_visible():
        menu.click()
    page.get_by_role("navigation", name="Console").get_by_role("link", name=name).first.click()
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible(timeout=LIMIT)
