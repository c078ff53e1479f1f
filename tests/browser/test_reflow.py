"""Zoomed to 400 % pages still fit, motion stops for those who ask for that, and colours are theirs if they say so."""

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


# What says something by a ground of its own: with colours of the reader's, a line has to say it.
MARKS = """(selectors) => selectors.filter((one) => {
  const found = [...document.querySelectorAll(one)].filter((element) => element.checkVisibility());
  return !found.length || found.some((element) => { const { outlineStyle, outlineWidth } = getComputedStyle(element); return outlineStyle === "none" || outlineWidth === "0px"; });
})"""
SHAPES = """() => [...document.querySelectorAll("main .shape")].filter((one) => one.checkVisibility()).filter((one) => {
  const { fill, stroke } = getComputedStyle(one.querySelector("path, circle, rect") ?? one);
  const ground = getComputedStyle(document.body).backgroundColor;
  return [fill, stroke].every((colour) => ["none", ground, "rgba(0, 0, 0, 0)"].includes(colour));
}).length"""


def test_marks_and_focus_are_there_in_colours_of_the_reader(browser: Browser, house: House) -> None:
    visitor = new_visitor(browser, house.url, storage_state=house.cookies, forced_colors="active")
    page = visitor.page
    page.goto(house.url + "/events", wait_until="load")
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    assert page.locator("main .shape").count() > 0
    assert page.evaluate(SHAPES) == 0
    assert page.evaluate(MARKS, [".nav-link[aria-current=page]"]) == []
    for _ in range(14):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.click(".user")
    page.wait_for_selector("#preferences-slot form")
    assert page.evaluate(MARKS, ["#user-menu .choice-row label:has(:checked)"]) == []
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.wait_for_selector("#palette [aria-selected=true]")
    assert page.evaluate(MARKS, ["#palette [aria-selected=true]"]) == []
    visitor.context.close()
