"""The connection: its badge, toasts, and what happens while the hub is away."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import PASSWORD, Hub, running_hub

PATIENCE_MS = 20_000


def test_notification_is_shown_as_a_toast_and_counted(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("please.notify", "notify", options={"title": "Paid: {data.name}", "severity": "success"})
    ada.go("/")
    ada.wait_live()
    hub.publish("please.notify", {"name": "<i>Ada & Co</i>"})
    expect(ada.page.locator("#toasts [data-toast]").last).to_contain_text("Paid: <i>Ada & Co</i>", timeout=PATIENCE_MS)
    ada.go("/notifications")
    expect(ada.page.locator("#content")).to_contain_text("Paid: <i>Ada & Co</i>")


def test_badge_follows_the_connection_when_the_hub_goes_away_and_comes_back(visit: Callable[..., Visitor]) -> None:
    with running_hub() as hub:
        hub.create_user("ada")
        ada = visit(hub)
        ada.sign_in("ada", PASSWORD)
        ada.go("/events")
        ada.wait_live()
        ada.mark()
        badge = ada.page.locator("#connection")
        hub.stop()
        expect(badge).to_have_attribute("data-state", "reconnecting", timeout=PATIENCE_MS)
        expect(badge).to_have_attribute("data-state", "polling", timeout=PATIENCE_MS)
        hub.start()
        expect(badge).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
        uid = hub.publish("after.restart")["uid"]
        expect(ada.page.locator(f"[data-live-id='{uid}']")).to_be_visible(timeout=PATIENCE_MS)
        assert not ada.was_reloaded()
        ada.leave()  # its troubles: refused connections, while there was nobody to connect to


def test_part_that_could_not_be_refreshed_is_told_of_and_asked_for_again(hub: Hub, ada: Visitor) -> None:
    kind = hub.rt.new_id("stale").replace("_", ".")
    ada.go(f"/events?type={kind}")
    ada.wait_live()
    ada.page.route("**/events?type=*", lambda route: route.fulfill(status=503, body=""))
    uid = hub.publish(kind)["uid"]
    badge = ada.page.locator("#connection")
    expect(badge).to_have_attribute("data-state", "behind", timeout=PATIENCE_MS)
    expect(badge).to_have_text("Not up to date")
    expect(ada.page.locator("#toasts [data-toast]")).to_have_count(0)
    ada.page.unroute("**/events?type=*")
    expect(ada.page.locator(f"[data-live-id='{uid}']")).to_be_visible(timeout=PATIENCE_MS)
    expect(badge).to_have_text("Live", timeout=PATIENCE_MS)
    ada.troubles.clear()  # the console tells of each 503


def test_page_catches_up_with_what_happened_while_the_web_was_down(visit: Callable[..., Visitor]) -> None:
    with running_hub() as hub:
        hub.create_user("ada")
        hub.subscribe("slow.one", "demo.render", options={"steps": 5})
        uid = hub.publish("slow.one")["uid"]
        ada = visit(hub)
        ada.sign_in("ada", PASSWORD)
        ada.go(f"/events/{uid}")
        ada.wait_live()
        ada.mark()
        hub.kill("web")
        expect(ada.page.locator("#events-status [data-state=succeeded]")).to_be_visible(timeout=2 * PATIENCE_MS)
        expect(ada.page.locator("#connection")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
        assert not ada.was_reloaded()
        ada.leave()


def test_flood_of_events_does_not_flood_the_browser(hub: Hub, ada: Visitor) -> None:
    ada.go("/events")
    ada.wait_live()
    requests: list[str] = []
    ada.page.on("request", lambda request: requests.append(request.url))
    last = [hub.publish("flood.event", {"n": n})["uid"] for n in range(200)][-1]
    expect(ada.page.locator(f"[data-live-id='{last}']")).to_be_visible(timeout=PATIENCE_MS)
    assert len(requests) < 100
