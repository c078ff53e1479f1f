"""Submitting an event and watching what becomes of it, without touching the page again."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub

PATIENCE_MS = 20_000


def test_form_shows_the_event_turning_green_without_reload(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("form.sent", "log", name="Keeps a log")
    page = ada.page
    ada.go("/events/new")
    ada.wait_live()
    page.fill("#f-type", "form.sent")
    page.fill("#f-payload", '{"amount": 129.5, "note": "näh <b>"}')
    page.fill("#f-labels", "tier=gold")
    ada.mark()
    page.click("form[action='/events'] button[type=submit]")
    answer = page.locator("#events-answer")
    expect(answer).to_contain_text("Keeps a log", timeout=PATIENCE_MS)
    expect(answer.locator("[data-state=succeeded]").first).to_be_visible(timeout=PATIENCE_MS)
    assert not ada.was_reloaded()
    answer.get_by_role("link", name="Open the event").click()
    expect(page.locator("#events-status [data-state=succeeded]")).to_be_visible()
    expect(page.locator("#content")).to_contain_text("näh <b>")


def test_form_keeps_what_was_typed_and_points_at_the_fault(ada: Visitor) -> None:
    page = ada.page
    ada.go("/events/new")
    page.fill("#f-type", "Not A Type")
    page.fill("#f-payload", '{"amount": 1,}')
    page.click("form[action='/events'] button[type=submit]")
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()
    expect(page.locator("#f-payload")).to_have_value('{"amount": 1,}')
    ada.troubles = [t for t in ada.troubles if "422" not in t]  # the browser logs the status of the answer


def test_list_shows_a_new_event_and_its_row_turns_green_without_reload(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("row.green", "log")
    ada.go("/events?type=row.green")
    ada.wait_live()
    ada.mark()
    uid = hub.publish("row.green")["uid"]
    row = ada.page.locator(f"[data-live-id='{uid}']")
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    expect(row.locator("[data-state=succeeded]")).to_be_visible(timeout=PATIENCE_MS)
    assert not ada.was_reloaded()


def test_event_page_shows_a_bar_moving_and_log_lines_arriving(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("slow.report", "demo.render", options={"steps": 12})
    uid = hub.publish("slow.report")["uid"]
    ada.go(f"/events/{uid}")
    ada.wait_live()
    ada.mark()
    bar = ada.page.locator("progress").first
    expect(bar).to_be_visible(timeout=PATIENCE_MS)
    seen = {bar.get_attribute("value")}
    for _ in range(3):
        last = str(bar.get_attribute("value"))
        expect(bar).not_to_have_attribute("value", last, timeout=PATIENCE_MS)
        seen.add(bar.get_attribute("value"))
    assert len(seen) >= 4
    expect(ada.page.locator("#log")).to_contain_text("rendered page 1", timeout=PATIENCE_MS)
    late = ada.context.new_page()  # someone who comes later sees the snapshot first
    late.goto(f"{hub.url}/events/{uid}")
    expect(late.locator("#log")).to_contain_text("rendered page 1")
    late.close()
    expect(ada.page.locator("#events-status [data-state=succeeded]")).to_be_visible(timeout=PATIENCE_MS)
    expect(ada.page.locator("#log")).to_contain_text("rendered page 10")
    assert not ada.was_reloaded()


def test_event_page_tells_of_retries_and_of_the_stack(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("unlucky.mail", "demo.flaky", options={"failures": 1}, retry={"delays_s": [1]})
    uid = hub.publish("unlucky.mail")["uid"]
    ada.go(f"/events/{uid}")
    expect(ada.page.locator("#events-status [data-state=succeeded]")).to_be_visible(timeout=PATIENCE_MS)
    expect(ada.page.locator("#events-timeline")).to_contain_text("Attempt 1")
    expect(ada.page.locator("#events-timeline")).to_contain_text("Attempt 2")
    expect(ada.page.locator("#content")).to_contain_text("ConnectionRefusedError")


def test_dead_delivery_is_retried_from_its_page(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("dead.mail", "demo.flaky", options={"failures": 1}, retry={"max_attempts": 1})
    answer = hub.publish("dead.mail")
    hub.wait_for(answer["uid"], "failed")
    ada.go(f"/deliveries/{answer['deliveries'][0]['id']}")
    ada.wait_live()
    ada.mark()
    ada.page.get_by_role("button", name=re.compile("^(Retry|Try)", re.IGNORECASE)).first.click()
    expect(ada.page.locator("[data-state=succeeded]").first).to_be_visible(timeout=PATIENCE_MS)
    assert not ada.was_reloaded()
