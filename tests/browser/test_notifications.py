"""Notifications in real browsers: told everywhere at once, none lost or told twice, worked through by keyboard, pushed.

A browser without a profile has no push service, so ``subscribe()`` is refused there: pushes are handed to the service worker
by the browser's debugger, and what a click on the notification opens is read from the worker.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, WebSocketRoute, expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub
from tests.support.servers import wait_until
from webapp.domain.access import Actor
from webapp.domain.errors import Refused
from webapp.services import inbox, pushes
from webapp.services.notify import notify
from webapp.store import accounts

PATIENCE_MS = 20_000
TOLD = """
window.__told = [];
addEventListener("DOMContentLoaded", () => new MutationObserver((all) => {
  for (const one of all) for (const toast of one.addedNodes) window.__told.push(toast.dataset?.id || toast.textContent);
}).observe(document.getElementById("toasts"), { childList: true }));
"""


@pytest.fixture
def reader(hub: Hub, ada: Visitor) -> Actor:
    """Ada, who has read everything and wants to hear everything."""
    with hub.rt.db.read() as conn:
        row = accounts.find_user(conn, "ada")
    actor = Actor("user", row.id, "ada", "admin")
    inbox.set_preferences(hub.rt, actor, {})
    inbox.mark_all_read(hub.rt, actor)
    return actor


def _told(visitor: Visitor) -> list[str]:
    return list(visitor.page.evaluate("window.__told"))


def _row(visitor: Visitor, title: str) -> Any:
    return visitor.page.locator(".notification", has_text=title)


def test_death_is_told_in_every_browser_and_retried_from_one(
    hub: Hub, ada: Visitor, reader: Actor, visit: Callable[..., Visitor], cookies: Any
) -> None:
    kind = hub.rt.new_id("die").replace("_", ".")
    hub.subscribe(kind, "webhook", name=f"{kind} to nowhere", options={"url": "http://127.0.0.1:9/"})
    other = visit(hub, storage_state=cookies)
    for one in (ada, other):
        one.go("/workers")
        one.wait_live()
    uid = hub.publish(kind)["uid"]
    for one in (ada, other):
        expect(one.page.locator("#toasts [data-toast=error]")).to_contain_text(kind, timeout=PATIENCE_MS)
        expect(one.page.locator("#nav-count-notifications")).to_have_text("1", timeout=PATIENCE_MS)
    assert len(hub.status(uid)["errors"]) == 1
    other.page.locator("#toasts [data-toast=error]").get_by_role("button", name="Retry").click()
    wait_until(lambda: len(hub.status(uid)["errors"]) == 2, 20, "it is tried again")


def test_what_came_while_the_connection_was_cut_is_told_once(hub: Hub, ada: Visitor, reader: Actor) -> None:
    open_sockets: list[WebSocketRoute] = []
    is_cut = False

    def pass_on(socket: WebSocketRoute) -> None:
        if is_cut:
            socket.close()
        else:
            socket.connect_to_server()
            open_sockets.append(socket)

    ada.page.route_web_socket(re.compile("/socket.io/"), pass_on)
    ada.context.add_init_script(TOLD)
    ada.go("/workers")
    ada.wait_live()
    first = notify(hub.rt, "info", "Before the cut")
    expect(ada.page.locator(f"#toast-{first}")).to_be_visible(timeout=PATIENCE_MS)
    is_cut = True
    ada.context.set_offline(True)
    for socket in open_sockets:
        socket.close()
    expect(ada.page.locator("#connection")).not_to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    missed = [notify(hub.rt, "error", f"Missed {n}") for n in range(5)]
    assert _told(ada) == [first]
    is_cut = False
    ada.context.set_offline(False)
    expect(ada.page.locator(f"#toast-{missed[-1]}")).to_be_visible(timeout=PATIENCE_MS)
    expect(ada.page.locator("#toasts")).to_contain_text("and 2 more", timeout=PATIENCE_MS)
    expect(ada.page.locator("#nav-count-notifications")).to_have_text("6", timeout=PATIENCE_MS)
    ada.wait_live()
    last = notify(hub.rt, "error", "After it")
    expect(ada.page.locator(f"#toast-{last}")).to_be_visible(timeout=PATIENCE_MS)
    assert _told(ada) == [first, *missed[2:], "and 2 more", last]
    ada.go("/notifications?view=unread")
    expect(ada.page.locator(".notification")).to_have_count(7)
    ada.wait_live()
    assert _told(ada) == [], "another page of the same tab tells nothing again"
    ada.troubles.clear()  # what could not be fetched while there was no connection


def test_inbox_is_worked_through_by_keyboard(hub: Hub, ada: Visitor, reader: Actor) -> None:
    for name in ("Third", "Second", "First"):
        notify(hub.rt, "warning", f"{name} thing", link="/workers", kind="breaker")
    ada.go("/notifications?view=unread")
    ada.wait_live()
    press = ada.page.keyboard.press
    press("j")
    expect(_row(ada, "First thing").locator("a").first).to_be_focused()
    press("e")
    expect(_row(ada, "First thing")).to_have_count(0, timeout=PATIENCE_MS)
    expect(_row(ada, "Second thing").locator("a").first).to_be_focused(timeout=PATIENCE_MS)
    press("h")
    expect(ada.page.get_by_role("button", name="Snooze for an hour")).to_be_focused()
    press("Enter")
    expect(_row(ada, "Second thing")).to_have_count(0, timeout=PATIENCE_MS)
    expect(_row(ada, "Third thing").locator("a").first).to_be_focused(timeout=PATIENCE_MS)
    press("m")
    press("Enter")
    wait_until(lambda: "breaker" in inbox.get_preferences(hub.rt, reader).muted_kinds, 15, "the kind is muted")
    ada.go("/notifications?view=archived")
    expect(_row(ada, "First thing").first).to_be_visible()
    ada.go("/notifications?view=snoozed")
    expect(_row(ada, "Second thing").first).to_be_visible()


def test_what_was_done_is_shown_though_news_replaced_its_button_meanwhile(
    hub: Hub, ada: Visitor, reader: Actor
) -> None:
    notify(hub.rt, "warning", "To be archived", kind="breaker")
    ada.go("/notifications?view=unread")
    ada.wait_live()
    held: list[Route] = []
    ada.page.route("**/archived", lambda route: held.append(route))
    _row(ada, "To be archived").hover()
    _row(ada, "To be archived").get_by_role("button", name="Archive").click()
    notify(hub.rt, "warning", "Came meanwhile", kind="breaker")
    expect(_row(ada, "Came meanwhile")).to_be_visible(timeout=PATIENCE_MS)
    expect(_row(ada, "To be archived")).to_be_visible()
    held[0].continue_()
    expect(_row(ada, "To be archived")).to_have_count(0, timeout=PATIENCE_MS)
    expect(ada.page.locator("#toasts")).to_contain_text("Archived")


def test_push_is_shown_by_the_service_worker(hub: Hub, ada: Visitor, reader: Actor) -> None:
    origin = hub.url
    ada.context.grant_permissions(["notifications"], origin=origin)
    ada.context.add_init_script(
        "window.__asked = 0; const ask = Notification.requestPermission.bind(Notification);"
        "Notification.requestPermission = (...all) => { window.__asked += 1; return ask(...all); };"
    )
    debugger = ada.context.new_cdp_session(ada.page)
    registered: list[str] = []
    debugger.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: registered.extend(one["registrationId"] for one in told["registrations"] if not one["isDeleted"]),
    )
    debugger.send("ServiceWorker.enable")
    wait_until(lambda: _has_key(hub), 20, "the beat made the key")
    ada.go("/notifications/preferences")
    state = ada.page.locator("#push-state")
    expect(state).to_have_text("This browser shows none yet.")
    assert ada.page.evaluate("window.__asked") == 0, "nobody is asked before they ask"
    ada.page.get_by_role("button", name="Tell me in this browser").click()
    expect(state).to_contain_text("while a page of the hub is open", timeout=PATIENCE_MS)
    assert ada.page.evaluate("window.__asked") == 1
    data = '{"id": "ntf_1", "title": "Died <b>", "link": "/workers"}'
    message = {"origin": origin, "registrationId": registered[-1], "data": data}
    debugger.send("ServiceWorker.deliverPushMessage", message)
    shown = "navigator.serviceWorker.ready.then((r) => r.getNotifications()).then((all) => all.map((one) => [one.title, one.data.link]))"
    wait_until(lambda: ada.page.evaluate(shown) == [["Died <b>", "/workers"]], 15, "the notification is there")
    [worker] = ada.context.service_workers
    opened = worker.evaluate(
        """async () => {
          const [notification] = await self.registration.getNotifications();
          return new Promise((tell) => {
            self.clients.openWindow = async (link) => tell(link);
            self.dispatchEvent(new NotificationEvent("notificationclick", { notification }));
          });
        }"""
    )
    assert opened == "/workers"
    assert all("Push API in incognito" in trouble for trouble in ada.troubles)
    ada.troubles.clear()


def _has_key(hub: Hub) -> bool:
    try:
        return bool(pushes.public_key(hub.rt))
    except Refused:
        return False


def test_browser_that_takes_pushes_is_listed_and_removed(hub: Hub, ada: Visitor, reader: Actor) -> None:
    from tests.services.test_notify import Browser

    pushes.subscribe(hub.rt, reader, Browser().document("https://push.example/1"), "A browser of mine")
    ada.go("/notifications/preferences")
    listed = ada.page.locator(".push-browser", has_text="A browser of mine")
    listed.get_by_role("button", name="Remove").click()
    expect(ada.page.locator(".push-browser")).to_have_count(0)
