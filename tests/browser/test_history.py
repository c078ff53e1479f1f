"""Back and forward bring whole pages back, where they were left; whatever a page shows is in its address."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.support.chromium import new_visitor
from tests.support.house import House

WHOLE = "body:has(#side nav):has(main h1)"


@pytest.mark.parametrize(
    ("address", "field", "word"),
    [("/events", "input[name=q]", "order.paid"),
     ("/subscriptions", "input[name=q]", "order"), ("/event-types", "input[name=q]", "order")],
)  # fmt: skip
def test_filter_is_in_the_address_and_outlives_back_and_forward(
    browser: Browser, house: House, address: str, field: str, word: str
) -> None:
    visitor = new_visitor(browser, house.url, storage_state=house.cookies)
    page = visitor.page
    page.goto(house.url + address)
    page.fill(f"main {field}", word)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: word in url)
    shared = page.url
    page.locator("main tbody a[href^='/']").first.click()
    page.wait_for_url(lambda url: url != shared)
    opened = page.url
    page.go_back()
    page.wait_for_url(shared)
    page.wait_for_selector(WHOLE)
    expect(page.locator(f"main {field}")).to_have_value(word)
    page.go_forward()
    page.wait_for_url(opened)
    page.wait_for_selector(WHOLE)
    page.goto(shared)  # as somebody does who was sent the address
    expect(page.locator(f"main {field}")).to_have_value(word)
    visitor.context.close()


def test_back_comes_to_the_place_that_was_left(browser: Browser, house: House) -> None:
    visitor = new_visitor(browser, house.url, storage_state=house.cookies, viewport={"width": 390, "height": 500})
    page = visitor.page
    page.goto(f"{house.url}/events/{house.ids['uid']}", wait_until="load")
    page.evaluate("window.scrollTo(0, 700)")
    page.evaluate("location.assign('/workers')")
    page.wait_for_url("**/workers")
    page.go_back()
    page.wait_for_url("**/events/*")
    page.wait_for_function("Math.abs(scrollY - 700) < 60")
    visitor.context.close()
