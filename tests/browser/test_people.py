"""One browser invites, another one accepts."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import PASSWORD, Hub


def test_person_is_invited_in_one_browser_and_comes_in_with_another(
    hub: Hub, ada: Visitor, visit: Callable[..., Visitor]
) -> None:
    ada.page.goto(hub.url + "/settings/users")
    ada.page.fill("#f-note", "Iris of support")
    ada.page.select_option("#f-invited_role", "viewer")
    ada.page.click("form[action='/settings/users/invitations'] button[type=submit]")
    expect(ada.page.locator("#link-shown button.copy")).to_be_visible()
    link = urlsplit(ada.page.locator("#link-url").inner_text())

    iris = visit(hub)
    iris.page.goto(f"{hub.url}{link.path}?{link.query}")
    iris.page.fill("input[name=username]", "iris")
    iris.page.fill("input[name=password]", PASSWORD)
    iris.page.fill("input[name=password_again]", PASSWORD)
    iris.page.click("form[action='/invitation'] button[type=submit]")
    iris.page.wait_for_url(hub.url + "/")
    expect(iris.page.locator(".side-foot")).to_contain_text("iris")

    ada.page.goto(hub.url + "/settings/users")
    expect(ada.page.locator("tr", has_text="iris")).to_have_count(1)
    expect(ada.page.locator("tr", has_text="Iris of support")).to_have_count(0)
