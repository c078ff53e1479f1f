"""Payloads are hostile. A planted script never runs, and the policy that would stop it is never even asked."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub

PLANTED = [
    "<script>window.__pwned.push(1);alert(1)</script>",
    '"><img src=x onerror="window.__pwned.push(2);alert(2)">',
    "'><svg/onload=alert(3)>",
    "</textarea></title><iframe srcdoc='<script>parent.alert(4)</script>'>",
    "javascript:alert(5)",
    "{{ 7 * 191 }}${7*191}<%= 7*191 %>",
    "<div hx-get='/sign-out' hx-trigger='load'></div><b style='position:fixed;inset:0'>x</b>",
    "\u202eevil\u2066 &lt;script&gt; \\u003cscript\\u003e </script><!--",
]
ALL = " ".join(PLANTED)
PAGES = [
    "/",
    "/events",
    "/errors",
    "/deliveries",
    "/subscriptions",
    "/notifications",
    "/audit",
    "/performance",
    "/workers",
]


@pytest.fixture(scope="module")
def planted(hub: Hub) -> str:
    """An event that carries the corpus in every field that takes text; gives its uid."""
    hub.subscribe(
        "hostile.seen",
        "notify",
        name=f"Notify {PLANTED[0]}",
        options={"title": "{data.all}", "body": "{subject} {data.all}"},
    )
    hub.subscribe("hostile.seen", "demo.receipt", name=f"Dies {PLANTED[1]}", retry={"max_attempts": 1})
    hub.subscribe(
        "hostile.seen", "log", name=PLANTED[2], condition={"field": "data.all", "op": "contains", "value": ALL}
    )
    payload = {"all": ALL, PLANTED[1]: ALL, "list": PLANTED, "amount": ALL}
    answer = hub.publish(
        "hostile.seen", payload, source="shop", subject=ALL[:250],
        labels={"planted": ALL[:200]},
    )  # fmt: skip
    hub.wait_for(answer["uid"], "partial")
    return str(answer["uid"])


def _check(ada: Visitor, path: str) -> None:
    ada.go(path)
    ada.page.wait_for_timeout(300)  # for what would run a moment later
    assert ada.page.evaluate("window.__pwned") == []
    assert ada.blocked() == []
    assert ada.page.locator("iframe, #content script, [onerror], [onload], [hx-get='/sign-out']").count() == 0
    assert "1337" not in ada.page.locator("#content").inner_text()


@pytest.mark.parametrize("path", PAGES)
def test_page_runs_nothing_of_a_hostile_event(ada: Visitor, planted: str, path: str) -> None:
    _check(ada, path)


def test_event_and_delivery_pages_run_nothing_of_it_and_show_it_as_it_is(hub: Hub, ada: Visitor, planted: str) -> None:
    _check(ada, f"/events/{planted}")
    expect(ada.page.locator("#content")).to_contain_text("<script>window.__pwned.push(1)")
    _check(ada, f"/events/new?from={planted}")
    for handler in hub.status(planted)["handlers"]:
        _check(ada, f"/deliveries/{handler['delivery_id']}")


def test_filters_run_nothing_of_what_stands_in_the_address(ada: Visitor, planted: str) -> None:
    from urllib.parse import quote

    for text in PLANTED:
        for path in (f"/events?type={quote(text)}", f"/audit?q={quote(text)}", f"/errors?q={quote(text)}"):
            _check(ada, path)


def test_toast_runs_nothing_of_a_hostile_notification(hub: Hub, ada: Visitor) -> None:
    hub.subscribe("hostile.toast", "notify", options={"title": "{data.all}"})
    ada.go("/")
    ada.wait_live()
    hub.publish("hostile.toast", {"all": ALL})
    expect(ada.page.locator("#toasts [data-toast]").last).to_contain_text("<script>", timeout=20_000)
    assert ada.page.evaluate("window.__pwned") == []
    assert ada.blocked() == []
