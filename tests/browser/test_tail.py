"""The live tail and the charts in a real browser: a flood neither stalls them nor makes rows jump."""

from __future__ import annotations

import time
from typing import Any

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.flood import flood
from tests.support.hub import Hub

PATIENCE_MS = 20_000


def test_tail_holds_through_a_flood_and_stands_still_when_pointed_at(hub: Hub, ada: Visitor) -> None:
    ada.go("/tail?q=type:tide.*")
    ada.wait_live()
    page, looks = ada.page, list[str]()
    page.on("request", lambda request: looks.append(request.url) if "/tail/" in request.url else None)
    begun = time.monotonic()
    last = flood(hub, "tide.high", seconds=3, per_second=1000)
    expect(page.locator(f"#tail-{last}")).to_be_visible(timeout=PATIENCE_MS)
    assert len(looks) <= time.monotonic() - begun + 2  # at most one a second
    uids: list[Any] = page.eval_on_selector_all("#tail-rows tr", "rows => rows.map(row => row.dataset.uid)")
    assert uids == sorted(set(uids), reverse=True)
    assert 100 <= len(uids) <= 200
    assert uids[0] == last

    page.hover("#tail-rows tr:nth-child(3)")
    expect(page.locator("#tail")).to_have_attribute("data-held", "yes")
    new = hub.publish("tide.low")["uid"]
    pill = page.locator("[data-tail-pill]")
    expect(pill).to_have_text("↑ 1 new", timeout=PATIENCE_MS)
    assert page.eval_on_selector("#tail-rows tr", "row => row.dataset.uid") == last
    pill.click()
    expect(page.locator(f"#tail-{new}")).to_be_visible(timeout=PATIENCE_MS)
    expect(pill).to_be_hidden()
    assert ada.blocked() == []


def test_charts_show_exact_values_and_stay_while_numbers_come(hub: Hub, ada: Visitor) -> None:
    hub.publish("chart.one")
    ada.go("/performance")
    ada.wait_live()
    page = ada.page
    chart = page.locator("[data-plot=events]")
    expect(chart.locator(".uplot canvas")).to_be_visible(timeout=PATIENCE_MS)
    page.eval_on_selector("[data-plot=events] .uplot", "chart => { chart.dataset.same = 'yes' }")
    chart.locator(".u-over").hover(position={"x": 5, "y": 30})
    expect(chart.locator("[data-at]")).to_contain_text("UTC")
    expect(chart.locator("[data-value]")).to_have_text("0")
    hub.request("POST", "/api/v1/marks", {"title": "Deployed <b>1.4</b>"})
    hub.publish("chart.two")
    expect(page.locator("[data-changes]")).to_contain_text("Deployed <b>1.4</b>", timeout=PATIENCE_MS)
    expect(chart.locator(".mark-link title").last).to_contain_text("Deployed <b>1.4</b>", timeout=PATIENCE_MS)
    expect(chart.locator(".uplot")).to_have_attribute("data-same", "yes")  # the chart that was there, with new numbers
    chart.locator("summary").click()
    expect(chart.locator("tbody tr")).to_have_count(60)
    assert ada.blocked() == []
