"""The very first minutes: a link from the console, an administrator, an overview. On a hub of their own."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import PASSWORD, running_hub


def test_first_administrator_gets_from_the_console_to_the_overview(visit: Callable[..., Visitor]) -> None:
    with running_hub() as hub:
        new = visit(hub)
        new.page.goto(hub.setup_link())
        new.page.fill("input[name=username]", "grace")
        new.page.fill("input[name=password]", PASSWORD)
        new.page.fill("input[name=password_again]", PASSWORD)
        new.page.click("form[action='/setup'] button[type=submit]")
        new.page.wait_for_url(hub.url + "/")
        expect(new.page.locator(".side-foot")).to_contain_text("grace")
        new.wait_live()

        again = visit(hub)
        again.page.goto(hub.setup_link())
        expect(again.page.locator("input[name=password]")).to_have_count(0)
        again.sign_in("grace", PASSWORD)
        expect(again.page.locator(".side-foot")).to_contain_text("grace")
        again.page.click("button.user")
        again.page.click("form[action='/sign-out'] button")
        again.page.wait_for_url(lambda url: "/sign-in" in url)
        again.page.goto(hub.url + "/events")
        assert "/sign-in" in again.page.url
        assert new.troubles == []
        new.leave()
        again.leave()  # its trouble: the answer to a link that is used up
