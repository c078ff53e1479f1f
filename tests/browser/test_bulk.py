"""A bulk operation as a person sees it: the dry run, and the bar that moves to its end by itself."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub

PATIENCE_MS = 20_000
ITEMS = 12


def test_bar_moves_to_done_without_a_reload(hub: Hub, ada: Visitor) -> None:
    subscription = hub.subscribe("bulk.item", "log")
    for uid in [hub.publish("bulk.item", {"n": n})["uid"] for n in range(ITEMS)]:
        hub.wait_for(uid, "succeeded")
    ada.go(f"/bulk/new?subscription={subscription}&state=succeeded")
    expect(ada.page.locator("#bulk-preview")).to_contain_text(f"{ITEMS} deliveries")
    ada.page.fill("#f-event", '{"field": "data.n", "op": "lt", "value": 10}')
    expect(ada.page.locator("#bulk-preview")).to_contain_text("10 deliveries", timeout=PATIENCE_MS)
    ada.page.fill("#f-reason", "The receiver was down")
    ada.page.fill("#f-pace", "4")
    ada.page.get_by_role("button", name="Begin").click()
    ada.page.wait_for_url("**/bulk/blk_*")
    ada.wait_live()
    ada.mark()
    expect(ada.page.locator("#bulk-body .work-facts")).to_contain_text("10 of 10", timeout=PATIENCE_MS)
    expect(ada.page.locator("#bulk-body [data-state=succeeded]").first).to_be_visible()
    expect(ada.page.locator("#bulk-body")).to_contain_text("Done")
    bar = ada.page.locator("#bulk-body progress")
    assert bar.get_attribute("value") == bar.get_attribute("max")
    expect(ada.page.locator("#bulk-body dl").first.locator("dd").last).to_have_text("10 succeeded", timeout=PATIENCE_MS)
    assert not ada.was_reloaded()
