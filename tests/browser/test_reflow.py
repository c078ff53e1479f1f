"""Zoomed to 400 % pages still fit, and motion stops for those who ask for that."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.support.chromium import new_visitor
from tests.support.house import House

PAGES = ("/", "/events", "/deliveries", "/errors", "/subscriptions", "/workers", "/notifications", "/settings/account")
MOVING = """() => [...document.querySelectorAll('*')].filter((one) => {
  const { transitionDuration, animationName, transitionProperty } = getComputedStyle(one);
  return animationName !== 'none' || (transitionProperty !== 'none' && parseFloat(transitionDuration) > 0.01);
}).map((one) => one.outerHTML.slice(0, 90))"""


def test_pages_fit_320_pixels_and_stand_still_for_those_who_want_it(browser: Browser, house: House) -> None:
    options = {"viewport": {"width": 320, "height": 256}, "reduced_motion": "reduce"}
    visitor = new_visitor(browser, house.url, storage_state=house.cookies, **options)
    wrong = {}
    for address in PAGES:
        visitor.page.goto(house.url + address, wait_until="load")
        width = visitor.page.evaluate("document.documentElement.scrollWidth")
        if width > 320 or visitor.page.evaluate(MOVING):
            wrong[address] = (width, visitor.page.evaluate(MOVING)[:3])
    visitor.context.close()
    assert wrong == {}
