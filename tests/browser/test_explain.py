"""Trying a rule on events that came, and an event on the rules, without leaving the page."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub

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
