"""Without a pointer: what opens gives the focus back, and Tab walks through a page and out of it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.chromium import Visitor, new_visitor
from tests.support.house import House

PATIENCE_MS = 20_000
# Whether a person sees where the focus is: of what has it, something is on top of all else (2.4.11).
SEEN = """() => {
  const one = document.activeElement, box = one.getBoundingClientRect();
  const points = [0.1, 0.5, 0.9].flatMap((x) => [0.1, 0.5, 0.9].map((y) => [box.left + box.width * x, box.top + box.height * y]));
  return one === document.body || points.some(([x, y]) => { const top = document.elementFromPoint(x, y); return top && (one.contains(top) || top.contains(one) && !top.matches("html, body, main") || one.labels?.[0]?.contains(top)); });
}"""
WHERE = "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"


def test_dialogs_give_the_focus_back_and_nothing_holds_it(browser: Browser, house: House) -> None:
    visitor = new_visitor(browser, house.url, storage_state=house.cookies)
    page = visitor.page
    page.goto(house.url + "/events", wait_until="load")
    page.focus("[data-help]")
    page.keyboard.press("Enter")
    page.wait_for_selector("#help[open]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.body || document.activeElement.closest('#help') !== null")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.matches('[data-help]')")
    page.focus(".skip")
    page.keyboard.press("Enter")
    assert page.evaluate(WHERE) == "content"
    walked = set()
    for _ in range(12):
        page.keyboard.press("Tab")
        walked.add(page.evaluate("document.activeElement.outerHTML"))
        assert page.evaluate("document.activeElement.matches(':focus-visible')")
    visitor.context.close()
    assert len(walked) == 12


def _walk(page: Page, key: str, steps: int) -> list[str]:
    """Where the focus cannot be seen on a walk."""
    hidden = []
    for _ in range(steps):
        page.keyboard.press(key)
        if not page.evaluate(SEEN):
            hidden.append(page.evaluate("document.activeElement.outerHTML.slice(0, 120)"))
    return hidden


@pytest.mark.parametrize("address", ["/events", "/subscriptions/new"])
def test_focus_is_never_under_what_sticks(browser: Browser, house: House, address: str) -> None:
    viewport = {"width": 390, "height": 500}
    visitor = new_visitor(browser, house.url, storage_state=house.cookies, viewport=viewport, reduced_motion="reduce")
    visitor.page.goto(house.url + address, wait_until="load")
    visitor.page.focus(".skip")
    hidden = _walk(visitor.page, "Tab", 30) + _walk(visitor.page, "Shift+Tab", 22)
    scrolled = visitor.page.evaluate("scrollY")
    visitor.context.close()
    assert hidden == []
    assert scrolled > 0


def test_form_is_filled_sent_and_corrected_without_a_pointer(ada: Visitor) -> None:
    page = ada.page
    ada.go("/schedules/new")
    expect(page.locator("#f-name")).to_be_focused()
    page.keyboard.type("Typed only")
    page.keyboard.press("Tab")
    page.keyboard.type("every day")
    for _ in range(4):
        if page.evaluate(WHERE) == "f-type":
            break
        page.keyboard.press("Tab")
    page.keyboard.type("keys.due")
    page.keyboard.press("Enter")
    expect(page.locator(".error-summary")).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#f-cron")).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type("@daily")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/schedules/sch_" in url)
    ada.troubles[:] = [one for one in ada.troubles if "422" not in one]  # the browser logs the status of the answer


def test_menu_of_the_person_works_without_a_pointer(browser: Browser, house: House) -> None:
    visitor = new_visitor(browser, house.url, storage_state=house.cookies)
    page = visitor.page
    page.goto(house.url + "/events", wait_until="load")
    page.focus(".user")
    page.keyboard.press("Enter")
    page.wait_for_selector("#preferences-slot form")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#user-menu') !== null")
    page.keyboard.press("Escape")
    assert page.is_hidden("#user-menu")
    assert page.evaluate("document.activeElement.matches('.user')")
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('href')") == "/settings/account":
            break
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/account")
    visitor.context.close()
