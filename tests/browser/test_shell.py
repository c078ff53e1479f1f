"""The shell of the pages: the palette by keyboard alone, and choices that outlive a reload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.chromium import Visitor
from tests.support.hub import Hub

CHOSEN = "#palette [aria-selected=true] .palette-label"


def test_palette_finds_and_goes_by_keyboard(hub: Hub, ada: Visitor) -> None:
    uid = str(hub.publish("palette.asked", {}, id="sender-4711")["uid"])
    page = ada.page
    ada.go("/events")
    page.keyboard.press("Control+k")
    page.wait_for_selector("#palette-found [role=option]")
    page.keyboard.press("Tab")  # focus stays
    page.keyboard.type("sender-4711")
    page.wait_for_selector(f"#palette-found [aria-selected=true][href='/events/{uid}']")
    assert page.get_attribute("#palette-words", "aria-activedescendant") == page.get_attribute(
        "#palette [aria-selected=true]", "id"
    )
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/events/{uid}")
    page.keyboard.press("Control+k")
    page.wait_for_selector(f"#palette-here [href='/events/{uid}']")  # opened last
    page.keyboard.press("Escape")
    assert page.is_hidden("#palette")


def test_palette_runs_what_the_page_offers(ada: Visitor) -> None:
    page = ada.page
    ada.go("/events")
    page.click(".palette-open")
    page.keyboard.type("submit an")
    page.wait_for_function(f"document.querySelector('{CHOSEN}')?.textContent === 'Submit an event'")
    page.keyboard.press("Enter")
    page.wait_for_url("**/events/new")


def test_choices_of_theme_and_times_survive_a_reload(hub: Hub, visit: Callable[..., Visitor], cookies: Any) -> None:
    hub.publish("theme.asked", {})
    berlin = visit(hub, storage_state=cookies, color_scheme="light", timezone_id="Europe/Berlin")
    page = berlin.page
    berlin.go("/events")
    page.click(".user")
    page.click("#preferences-form [name=theme][value=dark]")
    with page.expect_navigation():
        page.click("#preferences-form [name=times][value=local]")
    page.click(".user")
    with page.expect_navigation():
        page.click("[data-browser-zone]")
    berlin.go("/events")
    assert page.get_attribute("html", "data-theme") == "dark"
    assert str(page.get_attribute("main tbody time", "title")).endswith((" CET", " CEST"))
    answer = page.request.post(f"{hub.url}/preferences", form=_plain(page))  # as the others expect to find it
    assert answer.ok


def _plain(page: Any) -> dict[str, str]:
    token = page.get_attribute("meta[name=csrf-token]", "content")
    return {"csrf_token": token, "theme": "system", "times": "relative", "zone": "UTC"}
