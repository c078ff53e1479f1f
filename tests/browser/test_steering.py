"""Steering by hand: a group of dead deliveries is retried at once, a running one is cancelled and seen to end."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub

PATIENCE_MS = 20_000


def test_group_that_needs_action_is_retried_with_one_click(hub: Hub, ada: Visitor) -> None:
    options = {"failures": 1}
    rule = hub.subscribe("group.mail", "demo.flaky", options=options, retry={"max_attempts": 1}, name="Group mail")
    events = [hub.publish("group.mail")["uid"] for _ in range(2)]
    for uid in events:
        hub.wait_for(uid, "failed")
    ada.go(f"/deliveries?subscription={rule}")
    ada.wait_live()
    ada.mark()
    row = ada.page.locator("tr[id^=need-]")
    expect(row).to_contain_text("Group mail")
    row.get_by_role("button", name="Retry all").click()
    expect(ada.page.locator("#deliveries-table")).to_contain_text("Nothing here needs you", timeout=PATIENCE_MS)
    for uid in events:
        hub.wait_for(uid, "succeeded")
    assert not ada.was_reloaded()


def test_running_delivery_is_cancelled_and_seen_to_end(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("long.report", "demo.render", options={"steps": 200})
    delivery = hub.publish("long.report")["deliveries"][0]["id"]
    ada.go(f"/deliveries/{delivery}")
    ada.wait_live()
    body = ada.page.locator("#deliveries-body")
    expect(ada.page.locator("#deliveries-body[data-state=running]")).to_be_visible(timeout=PATIENCE_MS)
    ada.page.remove_listener("dialog", ada._dialog)
    ada.page.on("dialog", lambda dialog: dialog.accept())
    ada.page.get_by_role("button", name="Cancel").first.click()
    expect(body).to_contain_text("Cancel requested by ada", timeout=PATIENCE_MS)
    expect(ada.page.locator("#deliveries-body[data-state=cancelled]")).to_be_visible(timeout=PATIENCE_MS)
    expect(body).to_contain_text("its handler stopped when it was told to")
