"""The shell of the pages: the palette by keyboard alone, and choices that outlive a reload."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import PASSWORD, Hub
from tests.support.late import SHIFTS, Line, forgive

PATIENCE_MS = 20_000
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


@pytest.mark.parametrize("width", [1400, 390])
def test_choices_of_the_person_have_their_place_until_they_come(ada: Visitor, width: int) -> None:
    ada.page.add_init_script(SHIFTS)
    page, line = ada.page, Line(ada, "/preferences$")
    page.set_viewport_size({"width": width, "height": 900})
    ada.go("/events")
    if width < 760:
        page.click("[popovertarget=side]")
    page.click(".user")
    slot = page.locator("#preferences-slot")
    expect(slot).to_have_attribute("aria-busy", "true")
    before = slot.bounding_box()
    line.be("fails")
    expect(slot).to_contain_text("could not be loaded", timeout=PATIENCE_MS)
    assert slot.get_attribute("aria-busy") is None
    line.be("works")
    slot.get_by_role("button", name="Try again").click()
    expect(slot.locator("form")).to_be_visible(timeout=PATIENCE_MS)
    assert before is not None
    assert (slot.bounding_box() or {}).get("height") == pytest.approx(before["height"], abs=1)
    assert page.evaluate("window.__shift") < 0.1
    forgive(ada)


def test_palette_keeps_its_height_and_asks_again(ada: Visitor) -> None:
    page, line = ada.page, Line(ada, r"/palette\?")
    ada.go("/subscriptions")
    page.keyboard.press("Control+k")
    expect(page.locator("#palette-found")).to_have_attribute("aria-busy", "true")
    expect(page.locator("#palette-found .skeleton")).to_be_visible()
    before = page.locator("#palette").bounding_box()
    line.be("fails")
    again = page.locator("#palette-again")
    expect(again).to_be_visible(timeout=PATIENCE_MS)
    assert page.locator("#toasts").inner_text() == ""
    line.be("works")
    page.keyboard.press("ArrowUp")
    expect(again).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page.locator("#palette-found [href='/deliveries']")).to_be_attached(timeout=PATIENCE_MS)
    assert page.locator("#palette").bounding_box() == before
    forgive(ada)


def test_charts_say_when_they_could_not_be_loaded(ada: Visitor) -> None:
    ada.page.add_init_script(SHIFTS)
    page, line = ada.page, Line(ada, "/performance/series")
    ada.go("/performance")
    expect(page.locator("#charts")).to_have_attribute("aria-busy", "true")
    line.be("fails")
    expect(page.locator("[data-charts-trouble]")).to_be_visible(timeout=PATIENCE_MS)
    line.be("works")
    page.locator("[data-charts-again]").click()
    expect(page.locator("[data-charts-trouble]")).to_be_hidden(timeout=PATIENCE_MS)
    assert page.get_attribute("#charts", "aria-busy") is None
    assert page.evaluate("window.__shift") < 0.1
    forgive(ada)


def test_action_that_asks_is_run_from_the_palette(hub: Hub, ada: Visitor) -> None:
    made = hub.subscribe("palette.paused", "log", name="Paused by palette")
    page = ada.page
    ada.go(f"/subscriptions/{made}")
    page.keyboard.press("Control+k")
    page.keyboard.type("pause")
    page.wait_for_function(f"document.querySelector('{CHOSEN}')?.textContent.startsWith('Pause')")
    page.keyboard.press("Enter")
    expect(page.locator("#f-reason")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#f-reason")).to_be_hidden()
    expect(page.locator("details.pause > summary")).to_be_focused()


def test_two_people_on_a_subscription_see_each_other(hub: Hub, ada: Visitor, visit: Callable[..., Visitor]) -> None:
    made = hub.subscribe("seen.rule", "log")
    hub.create_user("cleo", "viewer")
    cleo = visit(hub)
    cleo.sign_in("cleo", PASSWORD)
    ada.page.add_init_script(SHIFTS)
    for one in (ada, cleo):
        one.page.set_viewport_size({"width": 390, "height": 844})
        one.go(f"/subscriptions/{made}")
        one.wait_live()
    for one in (ada, cleo):
        expect(one.page.locator("#viewers summary")).to_contain_text("2 people are viewing", timeout=PATIENCE_MS)
    assert ada.page.evaluate("window.__shift") < 0.1
    cleo.go("/events")
    expect(ada.page.locator("#viewers")).to_be_empty(timeout=PATIENCE_MS)


def test_charts_tell_times_in_the_zone_of_the_person(hub: Hub, ada: Visitor) -> None:
    zone, named = "Asia/Kolkata", "IST"
    hub.publish("zone.asked", {})
    page, line = ada.page, Line(ada, "/performance/series")
    ada.go("/events")
    chosen = {
        "csrf_token": page.get_attribute("meta[name=csrf-token]", "content") or "",
        "theme": "system",
        "zone": zone,
    }
    assert page.request.post(f"{hub.url}/preferences", form=chosen | {"times": "local"}).ok
    try:
        for _ in range(40):  # until the event is counted, and the numbers are read anew
            ada.go("/performance")
            if page.locator("[data-plot=events] .column").count():
                break
            page.wait_for_timeout(500)
        last = page.locator("[data-plot=events] .column title").last
        expect(last).to_contain_text(re.compile(rf"^\d\d:\d\d {named}: "), timeout=PATIENCE_MS)
        drawn = str(last.text_content())[:5]
        line.be("works")
        page.locator("[data-plot=events] .u-over").hover(timeout=PATIENCE_MS)
        at = page.locator("[data-plot=events] [data-at]")
        expect(at).to_have_text(re.compile(r"^\d\d:\d\d \S+$"), timeout=PATIENCE_MS)
        hours = (int(str(at.text_content())[:2]) - int(drawn[:2])) % 24
        assert hours in (23, 0, 1)  # a window of one hour
    finally:
        page.request.post(f"{hub.url}/preferences", form=chosen | {"times": "relative", "zone": "UTC"})


def test_nothing_but_errors_interrupts(ada: Visitor) -> None:
    for path in ("/", "/events", "/events/new", "/deliveries", "/subscriptions/new", "/explain", "/performance"):
        ada.go(path)
        assert ada.page.locator("[aria-live=assertive], [role=alert]").count() == 0, path
