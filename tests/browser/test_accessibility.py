"""axe finds nothing: on any page, light and dark, wide and on a phone, nor in what opens on top of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.support.axe import faults
from tests.support.chromium import Visitor, new_visitor
from tests.support.house import House, open_house
from webapp.services.accounts import first_admin_link

DESK, PHONE = {"width": 1400, "height": 1000}, {"width": 390, "height": 844}


@pytest.fixture
def looker(browser: Browser, house: House) -> Iterator[Visitor]:
    """The administrator, in a browser that lets axe in past the content policy and does not wait for motion."""
    visitor = _looker(browser, house)
    yield visitor
    visitor.context.close()


def _looker(browser: Browser, house: House, **options: Any) -> Visitor:
    options = {"viewport": DESK, "reduced_motion": "reduce", "storage_state": house.cookies} | options
    return new_visitor(browser, house.url, bypass_csp=True, **options)


def _open(visitor: Visitor, address: str) -> None:
    """A page that broke has no faults to find, so it is one."""
    answer = visitor.page.goto(address, wait_until="load")
    assert answer is not None
    assert answer.status < 500, f"{address}: {answer.status}"


def _look(page: Page) -> list[str]:
    """Everything once, wide and light; everything again in the dark, on a phone."""
    page.set_viewport_size(DESK)  # type: ignore[arg-type]
    page.emulate_media(color_scheme="light")
    found = [f"light {one}" for one in faults(page)]
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    return found + [f"dark phone {one}" for one in faults(page)]


def test_every_page_with_everything_in_it(house: House, looker: Visitor) -> None:
    """The first of each kind of page in all ways, the others (an event that was rejected, say) in one."""
    found, seen = {}, set()
    doors = house.app.url_map.bind("localhost")
    for address in house.pages:
        _open(looker, house.url + address)
        kind = doors.match(address)[0]
        if wrong := faults(looker.page) if kind in seen else _look(looker.page):
            found[address] = wrong
        seen.add(kind)
    assert found == {}
    assert len(seen) >= 40


def test_pages_of_a_hub_with_nothing_in_it(browser: Browser, sqlite_template: Any, tmp_path: Any) -> None:
    found = {}
    with open_house(sqlite_template, tmp_path, words="") as house:
        visitor = _looker(browser, house)
        empty = [one for one in house.pages if one == "/" or 'class="empty"' in house.person.get(one).text]
        for address in empty:
            _open(visitor, house.url + address)
            if wrong := faults(visitor.page):
                found[address] = wrong
        visitor.context.close()
    assert found == {}
    assert len(empty) >= 10


def test_pages_of_somebody_who_is_not_signed_in(browser: Browser, sqlite_template: Any, tmp_path: Any) -> None:
    found = {}
    with open_house(sqlite_template, tmp_path, words="", name="") as house:
        visitor = _looker(browser, house, storage_state=None)
        link = first_admin_link(house.app.extensions["signalbox"]) or ""
        for address in (
            f"/setup?{link.partition('?')[2]}",
            "/setup?token=wrong",
            "/sign-in",
            "/problems/not-found",
            "/nowhere",
        ):
            _open(visitor, house.url + address)
            if wrong := _look(visitor.page):
                found[address] = wrong
        visitor.page.goto(house.url + "/sign-in")
        visitor.page.fill("input[name=username]", "nobody")
        visitor.page.fill("input[name=password]", "nothing")
        visitor.page.click("main button[type=submit]")
        found["refused"] = _look(visitor.page)
        visitor.context.close()
    assert found == {"refused": []}


def _palette(page: Page) -> None:
    page.keyboard.press("Control+k")
    page.keyboard.type("order")
    page.wait_for_selector("#palette-found [role=option]")


def _help(page: Page) -> None:
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")


def _person(page: Page) -> None:
    page.click(".user")
    page.wait_for_selector("#user-menu form[action='/sign-out']", state="visible")
    page.wait_for_selector("#preferences-slot form")


def _drawer(page: Page) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.click("[popovertarget=side]")
    page.wait_for_selector("#side:popover-open")


def _toasts(page: Page) -> None:
    for tone in ("succeeded", "warning", "dead"):
        detail = {"text": f"Said in {tone}", "tone": tone, "link": "/events"}
        page.evaluate("(detail) => document.body.dispatchEvent(new CustomEvent('toast', { detail }))", detail)
    page.wait_for_selector("#toasts [data-toast]")


def _details(page: Page) -> None:
    page.evaluate("document.querySelectorAll('main details').forEach((one) => { one.open = true; })")


@pytest.mark.parametrize(
    ("address", "open_it"),
    [("/", _palette), ("/", _help), ("/", _person), ("/", _drawer), ("/", _toasts), ("/events", _details),
     ("/deliveries", _details), ("/audit", _details), ("/subscriptions/{subscription_id}", _details),
     ("/events/{uid}", _details), ("/deliveries/{delivery_id}", _details), ("/subscriptions/new", _details)],
)  # fmt: skip
def test_what_opens_on_top_of_a_page(
    house: House, looker: Visitor, address: str, open_it: Callable[[Page], None]
) -> None:
    page = looker.page
    _open(looker, house.url + address.format(**house.ids))
    open_it(page)
    assert faults(page) == []
    page.emulate_media(color_scheme="dark")
    assert faults(page, rules=("color-contrast",)) == []
