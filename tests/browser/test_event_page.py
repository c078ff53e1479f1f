"""The page of an event in real browsers: who else looks, a log that follows, what the palette runs, the tree of a payload."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.support.chromium import Visitor
from tests.support.hub import PASSWORD, Hub

PATIENCE_MS = 20_000
LOG = "#log .log"


def _at_end(page: Page) -> Any:
    return page.eval_on_selector(LOG, "box => box.scrollHeight - box.scrollTop - box.clientHeight < 24")


def test_two_people_see_each_other_and_part(
    hub: Hub, ada: Visitor, visit: Callable[..., Visitor], cookies: Any
) -> None:
    hub.create_user("bob", "viewer")
    uid = hub.publish("seen.together")["uid"]
    bob = visit(hub)
    bob.sign_in("bob", PASSWORD)
    for one in (ada, bob):
        one.go(f"/events/{uid}")
        one.wait_live()
    for one in (ada, bob):
        expect(one.page.locator("#viewers summary")).to_contain_text("2 people are viewing", timeout=PATIENCE_MS)
    second = visit(hub, storage_state=cookies)  # another tab of ada
    second.go(f"/events/{uid}")
    expect(second.page.locator("#viewers summary")).to_contain_text("2 people are viewing", timeout=PATIENCE_MS)
    ada.page.locator("#viewers summary").click()
    expect(ada.page.locator("#viewers li")).to_have_text([re.compile("^ada you"), "bob"])
    bob.go("/events")
    expect(ada.page.locator("#viewers")).to_be_empty(timeout=PATIENCE_MS)
    assert ada.blocked() == []


def test_log_follows_at_its_end_and_stands_still_for_a_reader(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("long.report", "demo.render", options={"steps": 18}, name="Renders")
    answer = hub.publish("long.report")
    delivery = answer["deliveries"][0]["id"]
    page = ada.page
    ada.go(f"/deliveries/{delivery}")
    ada.wait_live()
    expect(page.locator(LOG)).to_contain_text("rendered page 5", timeout=PATIENCE_MS)
    page.eval_on_selector(LOG, "box => { box.style.maxHeight = '20px'; box.scrollTop = 0; }")
    button = page.locator("[data-log-new]")
    expect(button).to_have_text(re.compile(r"^↓ \d+ new lines?$"), timeout=PATIENCE_MS)
    assert page.eval_on_selector(LOG, "box => box.scrollTop") == 0
    button.click()
    expect(button).to_be_hidden()
    assert _at_end(page)
    hub.wait_for(answer["uid"], "succeeded")
    expect(page.locator(LOG)).to_contain_text("scratch files removed", timeout=PATIENCE_MS)
    assert _at_end(page)
    seqs: list[str] = page.eval_on_selector_all(f"{LOG} li", "lines => lines.map(line => line.dataset.seq)")
    assert [int(one) for one in seqs] == sorted({int(one) for one in seqs})
    page.reload()
    expect(page.locator(f"{LOG} li")).to_have_count(len(seqs))
    assert ada.blocked() == []


def test_palette_presses_the_buttons_of_the_page_by_keyboard(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("dead.palette", "demo.flaky", options={"failures": 1}, retry={"max_attempts": 1}, name="Mails")
    uid = hub.publish("dead.palette")["uid"]
    hub.wait_for(uid, "failed")
    page = ada.page
    ada.go(f"/events/{uid}")
    page.focus("#events-timeline a >> nth=0")
    page.keyboard.press("Control+k")
    page.keyboard.type("retry mails")
    expect(page.locator("#palette [aria-selected=true] .palette-label")).to_have_text("Retry Mails")
    page.keyboard.press("Enter")
    expect(page.locator("#events-status [data-state=succeeded]")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#palette")).to_be_hidden()
    page.get_by_role("link", name="As a list").click()
    page.wait_for_url("**timeline=list")
    expect(page.locator("#palette")).to_be_hidden()  # the links that it names do not open it
    expect(page.locator("#events-timeline")).to_contain_text("Delivery retried by ada")


def test_payload_is_folded_searched_and_copied_without_the_clipboard_api(hub: Hub, ada: Visitor) -> None:
    uid = hub.publish("tree.asked", {"order": {"id": "A-1", "lines": [{"sku": "red"}, {"sku": "blue"}]}})["uid"]
    page = ada.page
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")  # as on plain HTTP
    page.add_init_script("document.addEventListener('copy', () => { window.__copied = String(getSelection()) || document.activeElement.value; })")  # fmt: skip
    ada.go(f"/events/{uid}")
    for label, text in (("Copy the path data.order.id", "data.order.id"), ("Copy the value of data.order.id", '"A-1"')):
        page.get_by_role("button", name=label, exact=True).first.click()
        page.wait_for_function("wanted => window.__copied === wanted", arg=text)
    page.fill("[name=find]", "blue")
    expect(page.locator("#events-found li")).to_have_count(1, timeout=PATIENCE_MS)
    expect(page.locator("#events-found")).to_contain_text("lines[1].sku")
    node = page.locator("#events-tree details").first
    node.locator("summary").first.click()
    expect(node).not_to_have_attribute("open", "")
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#help")).to_be_hidden()


def test_timeline_of_parent_child_running_and_dead(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("slow.cause", "demo.render", options={"steps": 20}, name="Takes long")
    parent = hub.publish("slow.cause")["uid"]
    child = hub.publish("was.caused", {"n": 2}, causation_id=parent)["uid"]
    page = ada.page
    ada.go(f"/events/{parent}")
    expect(page.locator("#events-timeline")).to_contain_text("Takes long")
    expect(page.locator("#events-timeline svg.state-running .bar").first).to_be_attached(timeout=PATIENCE_MS)
    expect(page.locator(f"#events-timeline a[href='/events/{child}']")).to_contain_text("Caused was.caused")
    ada.go(f"/events/{child}")
    expect(page.locator(f"main a[href='/events/{parent}']").first).to_be_visible()
    other = hub.publish("was.caused", {"n": 3})["uid"]
    ada.go(f"/events/{other}")
    page.get_by_role("link", name="Compare with the previous").click()
    expect(page.locator("#events-diff [data-change=changed]")).to_contain_text("data.n")
