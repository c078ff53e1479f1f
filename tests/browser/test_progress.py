"""Long work as a person sees and hears it: it survives reloads, and a file of everything comes out at the end."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub

PATIENCE_MS = 30_000
ITEMS = 20
HEAR = """() => {
  window.__heard = [];
  const voice = document.getElementById("work-voice");
  new MutationObserver(() => window.__heard.push(voice.textContent)).observe(voice, { childList: true });
}"""


def test_progress_survives_reloads_and_is_told_by_quarters(hub: Hub, ada: Visitor) -> None:
    subscription = hub.subscribe("long.work", "log")
    for uid in [hub.publish("long.work", {"n": n})["uid"] for n in range(ITEMS)]:
        hub.wait_for(uid, "succeeded")
    ada.go(f"/bulk/new?subscription={subscription}&state=succeeded")
    ada.page.fill("#f-reason", "To see it move")
    ada.page.fill("#f-pace", "4")
    ada.page.get_by_role("button", name="Begin").click()
    ada.page.wait_for_url("**/bulk/blk_*")
    ada.wait_live()
    facts, voice = ada.page.locator(".work-facts"), ada.page.locator("#work-voice")
    expect(facts).to_contain_text(re.compile(r"[1-9] of 20"), timeout=PATIENCE_MS)
    ada.page.get_by_role("button", name="Pause").click()
    expect(ada.page.locator("[data-work]")).to_have_attribute("data-state", "paused", timeout=PATIENCE_MS)
    done = ada.page.locator("#bulk-body progress").get_attribute("value")
    for _ in range(2):
        ada.page.reload()
        expect(ada.page.locator("#bulk-body progress")).to_have_attribute("value", str(done))
        expect(voice).to_contain_text("Bulk re-run: paused", timeout=PATIENCE_MS)
    ada.wait_live()
    ada.page.evaluate(HEAR)
    ada.page.get_by_role("button", name="Resume").click()
    expect(voice).to_have_text("Bulk re-run: done", timeout=PATIENCE_MS)
    expect(facts).to_contain_text(f"{ITEMS} of {ITEMS}")
    heard = ada.page.evaluate("window.__heard")
    assert all(re.fullmatch(r"Bulk re-run: (\d+ percent(, .+ left)?|done)", words) for words in heard), heard
    quarters = [int(found[1]) // 25 for words in heard if (found := re.search(r"(\d+) percent", words))]
    assert quarters == sorted(set(quarters)), heard


def test_a_filtered_list_becomes_a_file(hub: Hub, ada: Visitor) -> None:
    kind = hub.rt.new_id("line").replace("_", ".")
    uids = {hub.publish(kind, {"n": n})["uid"] for n in range(5)}
    ada.go(f"/events?type={kind}")
    ada.page.get_by_role("link", name="Export all that match").click()
    ada.page.select_option("#f-format", "ndjson")
    ada.page.get_by_role("button", name="Write the file").click()
    ada.page.wait_for_url("**/transfers/exp_*")
    ada.page.reload()
    link = ada.page.get_by_role("link", name="Download")
    expect(link).to_be_visible(timeout=PATIENCE_MS)
    with ada.page.expect_download() as waiting:
        link.click()
    text = waiting.value.path().read_text()
    assert {uid for uid in uids if uid in text} == uids
    assert len(text.splitlines()) == len(uids)
