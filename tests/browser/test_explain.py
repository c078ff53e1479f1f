"""Trying a rule on events that came, and an event on the rules, without leaving the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub
from tests.support.late import SHIFTS, Line, forgive

PATIENCE_MS = 20_000
OVER_50 = {"field": "data.amount", "op": "gt", "value": 50}
OVER_80 = '{"field": "data.amount", "op": "gt", "value": 80}'


def test_form_backtests_a_change_before_it_is_saved(hub: Hub, ada: Visitor) -> None:
    saved = hub.subscribe("tried.order", "log", name="Tried orders", condition=OVER_50)
    for amount in (40, 60, 90):
        hub.publish("tried.order", {"amount": amount})
    hub.publish("tried.refund", {"amount": 90})
    page = ada.page
    ada.go(f"/subscriptions/{saved}/edit")
    ada.mark()
    page.fill("#f-pattern", "tried.*")
    page.check("#condition-to-json", force=True)
    page.fill("textarea#f-condition", OVER_80)
    page.locator("#subscriptions-backtest").get_by_role("button", name="Backtest").click()
    part = page.locator("#subscriptions-backtest")
    expect(part).to_contain_text("Against the saved rule: 1 added, 1 removed", timeout=PATIENCE_MS)
    expect(part.locator("svg rect.added")).to_have_count(1)
    part.locator("summary", has_text="Removed").click()
    expect(part.get_by_role("link", name="tried.order").first).to_be_visible()
    page.fill("#f-condition", "{")
    part.get_by_role("button", name="Backtest again").click()
    expect(part).to_contain_text("The rule cannot be tried as it is", timeout=PATIENCE_MS)
    assert not ada.was_reloaded()
    assert page.input_value("#f-pattern") == "tried.*"
    ada.troubles = [t for t in ada.troubles if "422" not in t]  # the browser logs the status of the answer


def test_event_is_tried_and_one_subscription_asked_why_not(hub: Hub, ada: Visitor) -> None:
    users = hub.subscribe("asked.user.*", "log", name="Asked users")
    hub.subscribe("asked.order", "log", name="Asked big", condition=OVER_50)
    page = ada.page
    ada.go("/explain")
    ada.mark()
    page.fill("#f-type", "asked.order")
    page.fill("#f-payload", '{"amount": 12}')
    page.get_by_role("button", name="Try it").click()
    result = page.locator("#explain-result")
    expect(result).to_contain_text("data.amount > 50 was 12", timeout=PATIENCE_MS)
    assert not ada.was_reloaded()
    uid = hub.publish("asked.order", {"amount": 12})["uid"]
    ada.go(f"/events/{uid}")
    page.select_option("#f-subscription", users)
    answer = page.locator("#events-why-answer")
    expect(answer).to_contain_text("The pattern asked.user.* does not fit asked.order.", timeout=PATIENCE_MS)
    page.wait_for_url(f"**/events/{uid}?subscription={users}")
    page.reload()
    expect(answer).to_be_visible()


@pytest.mark.parametrize(
    ("path", "button", "asks", "place", "came"),
    [("/subscriptions/new", "Backtest", "/subscriptions/backtest$", "#subscriptions-backtest [data-skeleton]", "matched"),
     ("/explain", "Try it", "/explain$", "#explain-result [data-skeleton]", "No subscription listens")],
)  # fmt: skip
def test_answer_that_did_not_come_is_asked_for_again(
    hub: Hub, ada: Visitor, path: str, button: str, asks: str, place: str, came: str
) -> None:
    hub.publish("late.answer", {})
    page = ada.page
    page.add_init_script(SHIFTS)
    ada.go(path)
    page.fill("#f-pattern" if path != "/explain" else "#f-type", "late.asked")
    page.wait_for_load_state("networkidle")
    part, line = page.locator(place), Line(ada, asks)
    page.get_by_role("button", name=button, exact=True).click()
    expect(part).to_have_attribute("aria-busy", "true")
    expect(part).to_have_attribute("data-skeleton", "shown", timeout=PATIENCE_MS)
    before = part.bounding_box() or {}
    line.be("fails")
    expect(part).to_contain_text("could not be loaded", timeout=PATIENCE_MS)
    assert part.get_attribute("aria-busy") is None
    assert (part.bounding_box() or {})["height"] == pytest.approx(before["height"], abs=1)
    page.wait_for_timeout(600)  # what moves now does so without anybody's doing
    assert page.evaluate("window.__shift") < 0.1
    line.be("works")
    part.get_by_role("button", name="Try again").click()
    expect(part).to_contain_text(came, timeout=PATIENCE_MS)
    forgive(ada)
