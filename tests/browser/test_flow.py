"""Pausing with a reason and an end, resuming at a pace, and a breaker that opens while one looks on."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub

PATIENCE_MS = 20_000
BREAKER = {"failure_rate": 0.5, "min_tries": 4, "window": "1m", "open_for": "1h"}


def test_pause_with_a_reason_and_an_end_then_resume_at_a_pace(hub: Hub, ada: Visitor) -> None:
    subscription = hub.subscribe("paused.order", "log", name="Paused orders")
    page = ada.page
    ada.go(f"/subscriptions/{subscription}")
    ada.wait_live()
    ada.mark()
    page.get_by_text("Pause…").click()
    page.fill("#f-reason", "Warehouse is being moved")
    page.select_option("#f-for", "2h")
    page.locator(".pause-form").get_by_role("button", name="Pause").click()
    note = page.locator("#subscriptions-paused")
    expect(note).to_contain_text("Warehouse is being moved", timeout=PATIENCE_MS)
    expect(note).to_contain_text("It resumes in")
    for _ in range(3):
        hub.publish("paused.order", {})
    page.get_by_text("Resume…").click()
    page.fill("#f-pace", "0.01")
    page.locator(".pause-form").get_by_role("button", name="Resume").click()
    expect(page.locator("#subscriptions-releasing")).to_contain_text(
        "0.01 a second. 3 deliveries are held.", timeout=PATIENCE_MS
    )
    page.get_by_text("Pace…").click()
    page.fill("#f-pace", "")
    page.get_by_role("button", name="Change the pace").click()
    expect(page.locator("#subscriptions-releasing")).to_have_count(0, timeout=PATIENCE_MS)
    assert not ada.was_reloaded()


def test_breaker_opens_before_the_eyes_and_is_closed_by_hand(hub: Hub, ada: Visitor) -> None:
    options = {"url": "http://127.0.0.1:9/nobody"}
    subscription = hub.subscribe(
        "broken.order", "webhook", name="Broken", options=options, policies={"breaker": BREAKER},
        retry={"max_attempts": 1},  # nothing is left to open it again once it is closed by hand
    )  # fmt: skip
    page = ada.page
    ada.go(f"/subscriptions/{subscription}")
    ada.wait_live()
    ada.mark()
    card = page.locator("#subscriptions-breaker")
    expect(card).to_contain_text("Closed")
    for _ in range(4):
        hub.publish("broken.order", {})
    expect(page.locator("#subscriptions-broken")).to_contain_text("The circuit breaker is open", timeout=PATIENCE_MS)
    expect(card).to_contain_text("100 % of")
    ada.go("/subscriptions?state=breaker")
    expect(page.locator(f"#subscription-{subscription}")).to_contain_text("Breaker open")
    ada.go(f"/subscriptions/{subscription}")
    page.remove_listener("dialog", ada._dialog)
    page.on("dialog", lambda dialog: dialog.accept())
    card.get_by_role("button", name="Close now").click()
    expect(card).to_contain_text("Closed", timeout=PATIENCE_MS)
