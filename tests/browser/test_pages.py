"""Every page, as people meet it: no errors on the console, in the dark, on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.chromium import Visitor
from tests.support.hub import Hub

PAGES = [
    "/", "/events", "/events/new", "/deliveries", "/errors", "/subscriptions", "/subscriptions/new", "/explain", "/performance",
    "/workers", "/notifications", "/audit", "/settings/users", "/settings/keys", "/api/docs",
]  # fmt: skip
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


@pytest.fixture(scope="module")
def lively(hub: Hub) -> str:
    """Something of everything: a success, a failure, a notification; gives the uid of an event."""
    hub.subscribe("page.*", "log", name="A subscription with a rather long name that has to fit somewhere")
    hub.subscribe("page.failed", "demo.receipt", retry={"max_attempts": 1})
    hub.subscribe("page.told", "notify", options={"title": "Told", "severity": "warning"})
    uids = [hub.publish(f"page.{what}", {"deep": {"a": ["b" * 300]}})["uid"] for what in ("done", "failed", "told")]
    hub.wait_for(uids[1], "partial")
    return str(uids[1])


def test_pages_write_no_error_to_the_console(ada: Visitor, lively: str) -> None:
    for path in [*PAGES, f"/events/{lively}"]:
        ada.go(path)
        ada.wait_live()
        ada.page.wait_for_timeout(150)
        assert (path, ada.troubles, ada.blocked()) == (path, [], [])


def test_pages_fit_a_phone_without_scrolling_sideways(
    hub: Hub, visit: Callable[..., Visitor], cookies: Any, lively: str
) -> None:
    phone = visit(hub, storage_state=cookies, **PHONE)
    wide = {}
    for path in [*PAGES, f"/events/{lively}"]:
        phone.go(path)
        width = phone.page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["viewport"]["width"]:
            wide[path] = width
    assert wide == {}


def test_pages_turn_dark_with_the_system_and_by_choice(hub: Hub, visit: Callable[..., Visitor], cookies: Any) -> None:
    def lightness(visitor: Visitor) -> int:
        colour = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])

    dark = visit(hub, storage_state=cookies, color_scheme="dark")
    dark.go("/events")
    assert lightness(dark) < 150
    dark.page.click("[data-theme-toggle]")
    assert lightness(dark) > 600
    dark.go("/")
    assert lightness(dark) > 600  # the choice is kept


def test_pages_work_by_keyboard(ada: Visitor) -> None:
    ada.go("/")
    ada.page.keyboard.press("Tab")
    assert ada.page.evaluate("document.activeElement.className") == "skip"
    ada.page.keyboard.press("g")
    ada.page.keyboard.press("e")
    ada.page.wait_for_url("**/events")
    ada.page.keyboard.press("/")
    assert ada.page.evaluate("document.activeElement.hasAttribute('data-filter')")
