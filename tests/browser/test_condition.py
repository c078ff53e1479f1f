"""The condition of a rule, edited by keyboard: rows, text and JSON in step, and the tester beside them."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub

PATIENCE_MS = 20_000


def test_condition_is_built_in_rows_without_a_mouse(hub: Hub, ada: Visitor) -> None:
    hub.publish("rows.order", {"amount": 90})
    page = ada.page
    ada.go("/subscriptions/new")
    ada.mark()
    page.fill("#f-pattern", "rows.*")
    page.focus("#condition-add")
    page.keyboard.press("Enter")
    expect(page.locator("#c-0-field")).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.type("data.amount")
    page.keyboard.press("Tab")
    page.select_option("#c-0-op", "gt")
    page.select_option("#c-0-as", "number")
    page.fill("#c-0-value", "100")
    check = page.locator("#subscriptions-check")
    expect(check).to_contain_text("data.amount > 100 was 90", timeout=PATIENCE_MS)
    expect(check).to_contain_text("would not match")
    page.focus("#condition-to-rows")
    page.keyboard.press("ArrowRight")
    expect(page.locator("textarea#f-condition")).to_have_value("data.amount>100", timeout=PATIENCE_MS)
    page.fill("#f-condition", "data.amount>50 source exists")
    expect(check).to_contain_text("This event would match", timeout=PATIENCE_MS)
    page.focus("#condition-to-text")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#c-1-field")).to_have_value("source", timeout=PATIENCE_MS)
    expect(page.locator("#c-1-value")).to_be_hidden()
    assert not ada.was_reloaded()
