"""Without a pointer: what opens gives the focus back, and Tab walks through a page and out of it."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.support.chromium import new_visitor
from tests.support.house import House

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
