"""The form made of a schema, by keyboard and mouse: fields, rows, both forms in step, faults where they belong, samples."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub

PATIENCE_MS = 20_000
SCHEMA = {
    "type": "object",
    "required": ["order_id", "amount"],
    "additionalProperties": False,
    "properties": {
        "order_id": {"type": "string", "title": "Order", "minLength": 2},
        "amount": {"type": "number", "minimum": 0},
        "gift": {"type": "boolean"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
    },
}


@pytest.fixture(scope="module")
def kind(hub: Hub) -> str:
    """A declared type that rejects what does not fit."""
    assert hub.request("PUT", "/api/v1/event-types/form.order", {"validation": "reject"}).status == 201
    assert hub.request("POST", "/api/v1/event-types/form.order/versions", {"schema": SCHEMA}).status == 201
    return "form.order"


def test_form_of_a_type_is_filled_in_checked_and_sent(hub: Hub, ada: Visitor, kind: str) -> None:
    page = ada.page
    ada.go("/events/new")
    ada.mark()
    page.fill("#f-type", kind)
    page.press("#f-type", "Tab")
    page.get_by_label("Order").fill("o1", timeout=PATIENCE_MS)
    page.get_by_label("amount").fill("-5")
    page.press("#f-p-1", "Tab")
    expect(page.locator("#f-p-1-error")).to_contain_text("at least 0", timeout=PATIENCE_MS)
    expect(page.locator("#f-p-1")).to_have_attribute("aria-invalid", "true")
    page.fill("#f-p-1", "12.50")
    page.press("#f-p-1", "Tab")
    expect(page.locator("#f-p-1")).not_to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    page.get_by_text("true", exact=True).click()
    page.get_by_role("button", name="Add row to lines").press("Enter")
    expect(page.locator("#f-p-3-0-0")).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.type("sku-7")
    expect(page.locator("#events-python")).to_contain_text("sku-7", timeout=PATIENCE_MS)
    page.click("form[action='/events'] button[type=submit]")
    expect(page.locator("#events-answer")).to_contain_text(kind, timeout=PATIENCE_MS)
    uid = page.locator("#events-answer").get_attribute("data-live-id")
    sent = hub.request("GET", f"/api/v1/events/{uid}").json["payload"]
    assert sent == {"order_id": "o1", "amount": 12.5, "gift": True, "lines": [{"sku": "sku-7"}]}
    assert not ada.was_reloaded()
    late = "oobErrorNoTarget, #f-payload-error"  # the answer to a check that was asked before the fields came
    ada.troubles = [trouble for trouble in ada.troubles if "422" not in trouble and late not in trouble]


def test_both_forms_of_a_payload_are_in_step_and_faults_stand_in_either(ada: Visitor, kind: str) -> None:
    page = ada.page
    ada.go(f"/events/new?type={kind}&payload.order_id=77&payload.other=1")
    expect(page.locator("#f-p-0")).to_have_value("77")
    expect(page.get_by_label("Other fields as JSON")).to_have_value('{\n  "other": 1\n}')
    page.focus("#payload-to-form")
    page.keyboard.press("ArrowRight")
    area = page.locator("#f-payload")
    expect(area).to_have_value('{\n  "order_id": "77",\n  "other": 1\n}', timeout=PATIENCE_MS)
    page.click("form[action='/events'] button[type=submit]")
    expect(page.locator("#f-payload-error")).to_contain_text("/amount: This field is required.", timeout=PATIENCE_MS)
    area.fill('{"order_id": "78", "amount": 3, "lines": [{"sku": 5}]}')
    page.get_by_text("Form", exact=True).click()
    expect(page.locator("#f-p-0")).to_have_value("78", timeout=PATIENCE_MS)
    expect(page.locator("textarea[name='p-3-0-0.json']")).to_have_value("5")
    page.fill("#f-p-1", "many")
    page.click("form[action='/events'] button[type=submit]")
    expect(page.locator("#f-p-1-error")).to_contain_text("Write a number", timeout=PATIENCE_MS)
    expect(page.locator("#f-p-1")).to_have_value("many")
    expect(page.locator("[role=alert] a[href='#f-p-1']")).to_contain_text("amount: Write a number")
    ada.troubles = [trouble for trouble in ada.troubles if "422" not in trouble]


def test_what_stands_in_the_form_is_kept_as_a_sample(hub: Hub, ada: Visitor, kind: str) -> None:
    page = ada.page
    ada.go(f"/events/new?type={kind}")
    page.fill("#f-p-0", "kept")
    name = f"Kept {uuid.uuid4().hex[:6]}"
    page.fill("#f-sample_name", name)
    page.press("#f-sample_name", "Enter")
    link = page.locator("#events-samples").get_by_role("link", name=name)
    expect(link).to_be_visible(timeout=PATIENCE_MS)
    link.click()
    page.wait_for_url("**/events/new?sample=*")
    expect(page.locator("#f-p-0")).to_have_value("kept")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
