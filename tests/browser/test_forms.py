"""Forms in a browser: checks beside the field, the guard of what is not saved, two people at once, and nothing jumps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Dialog, expect

from tests.support.chromium import Visitor
from tests.support.hub import Hub
from tests.support.late import SHIFTS

PATIENCE_MS = 20_000
STANDING = "[data-standing]"


class Asked:
    """Answers the question whether to leave, and counts how often it came."""

    def __init__(self, visitor: Visitor) -> None:
        self.times, self.leave = 0, False
        visitor.page.remove_listener("dialog", visitor._dialog)
        visitor.page.on("dialog", self._answer)

    def _answer(self, dialog: Dialog) -> None:
        self.times += 1
        (dialog.accept if self.leave else dialog.dismiss)()


def _make_schedule(ada: Visitor, name: str) -> str:
    page = ada.page
    ada.go("/schedules/new")
    page.fill("#f-name", name)
    page.fill("#f-cron", "@daily")
    page.fill("#f-type", "forms.due")
    page.click(".form-foot button[type=submit]")
    page.wait_for_url(lambda url: "/schedules/sch_" in url)
    return page.url.removeprefix(ada.base)


def test_field_is_checked_when_it_is_left_and_keeps_caret_and_text(ada: Visitor) -> None:
    ada.go("/schedules/new")
    page = ada.page
    page.fill("#f-cron", "every day")
    page.press("#f-cron", "Tab")
    expect(page.locator("#f-cron")).to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    expect(page.locator("#f-cron-error .error")).to_be_visible()
    expect(page.locator("#f-time_zone")).to_be_focused()
    expect(page.locator("#f-name-error .error")).to_have_count(0)
    page.focus("#f-cron")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.type("@dail")
    page.keyboard.press("Home")
    page.keyboard.press("End")
    page.keyboard.type("y")
    expect(page.locator("#f-cron")).not_to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)
    expect(page.locator("#f-cron")).to_be_focused()
    assert page.evaluate("document.activeElement.selectionStart") == len("@daily")


def test_leaving_asks_once_only_while_something_is_not_saved(ada: Visitor) -> None:
    url = _make_schedule(ada, "Guarded")
    page, asked = ada.page, Asked(ada)
    ada.go(f"{url}/edit")
    expect(page.locator(STANDING)).to_have_text("Nothing to save")
    page.click("nav[aria-label=Main] a[href='/events']")
    page.wait_for_url("**/events")
    assert asked.times == 0
    ada.go(f"{url}/edit")
    page.fill("#f-name", "Guarded twice")
    expect(page.locator(STANDING)).to_have_text("Not saved yet")
    page.evaluate("document.querySelector('nav[aria-label=Main] a[href=\"/events\"]').click()")
    page.wait_for_timeout(300)
    assert (asked.times, page.url.removeprefix(ada.base)) == (1, f"{url}/edit")
    page.fill("#f-name", "Guarded")
    expect(page.locator(STANDING)).to_have_text("Nothing to save")
    page.fill("#f-name", "Guarded twice")
    page.click(".form-foot button[type=submit]")
    page.wait_for_url(f"**{url}")
    assert asked.times == 1


def _type_into(ada: Visitor, url: str) -> Asked:
    ada.go("/schedules")
    ada.go(f"{url}/edit")
    asked = Asked(ada)
    ada.page.click("#f-name")
    ada.page.keyboard.type(" more")
    expect(ada.page.locator(STANDING)).to_have_text("Not saved yet")
    return asked


def test_back_asks_and_stays_or_goes(ada: Visitor) -> None:
    url = _make_schedule(ada, "Left by Back")
    asked, page = _type_into(ada, url), ada.page
    page.evaluate("history.back()")
    _until(ada, lambda: asked.times == 1)
    assert page.url.endswith("/edit")
    assert page.input_value("#f-name").endswith(" more")
    asked.leave = True
    page.evaluate("history.back()")
    page.wait_for_url("**/schedules")
    assert asked.times == 2


def test_closing_asks(ada: Visitor) -> None:
    asked, page = _type_into(ada, _make_schedule(ada, "Closed")), ada.page
    page.close(run_before_unload=True)
    _until(ada, lambda: asked.times == 1)
    assert not page.is_closed()
    asked.leave = True
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked.times == 2


def test_what_htmx_puts_in_the_place_of_a_form_asks(ada: Visitor) -> None:
    asked, page = _type_into(ada, _make_schedule(ada, "Swapped")), ada.page
    page.evaluate("""() => {
      const link = Object.assign(document.createElement("a"), { id: "swap", href: "/schedules", textContent: "All" });
      for (const [name, value] of [["get", "/schedules"], ["target", "#content"], ["select", "#content"], ["swap", "outerHTML"], ["push-url", "true"]])
        link.setAttribute(`hx-${name}`, value);
      document.querySelector("main h1").append(link);
      window.htmx.process(link);
    }""")
    page.click("#swap")
    assert asked.times == 1
    expect(page.locator("#f-name")).to_have_value("Swapped more")
    asked.leave = True
    page.click("#swap")
    expect(page.locator("#f-name")).to_have_count(0, timeout=PATIENCE_MS)
    assert asked.times == 2
    ada.go("/events")
    assert asked.times == 2  # what is gone is not asked about again


def _until(visitor: Visitor, came: Callable[[], bool]) -> None:
    """Dialogs come while the page is spoken to."""
    for _ in range(150):
        if came():
            return
        visitor.page.wait_for_timeout(100)
    raise AssertionError("it did not come")


def test_rows_of_a_condition_and_another_view_of_it_are_told_apart(ada: Visitor) -> None:
    ada.go("/subscriptions/new")
    page, asked = ada.page, Asked(ada)
    dirty = "import(document.querySelector('script[src*=guard]').src).then((m) => m.$guard.isDirty(document.querySelector('#subscriptions-form')))"
    page.focus("#condition-to-rows")
    page.keyboard.press("ArrowRight")
    expect(page.locator("textarea#f-condition")).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate(dirty) is False
    page.focus("#condition-to-text")
    page.keyboard.press("ArrowLeft")
    page.click("#condition-add")
    expect(page.locator("#c-0-field")).to_be_visible(timeout=PATIENCE_MS)
    assert page.evaluate(dirty) is True
    page.click("#condition-row-0 .condition-remove")
    expect(page.locator("#c-0-field")).to_have_count(0, timeout=PATIENCE_MS)
    assert page.evaluate(dirty) is False
    ada.go("/events")
    assert asked.times == 0


def test_two_browsers_and_nothing_is_lost(hub: Hub, ada: Visitor, visit: Callable[..., Visitor], cookies: Any) -> None:
    url = _make_schedule(ada, "Shared")
    other = visit(hub, storage_state=cookies)
    for one in (ada, other):
        one.go(f"{url}/edit")
    ada.page.fill("#f-cron", "@hourly")
    ada.page.click(".form-foot button[type=submit]")
    ada.page.wait_for_url(f"**{url}")
    other.page.fill("#f-cron", "@weekly")
    other.page.fill("#f-labels", "team=ops")
    other.page.click(".form-foot button[type=submit]")
    clash = other.page.locator("#clash")
    expect(clash).to_contain_text("schedule.updated", timeout=PATIENCE_MS)
    expect(clash).to_contain_text("both of you changed it")
    expect(other.page.locator("#f-labels")).to_have_value("team=ops")
    other.page.check("#clash input[name=take-cron][value=theirs]")
    other.page.click("#clash button.primary")
    other.page.wait_for_url(f"**{url}")
    other.go(f"{url}/edit")
    expect(other.page.locator("#f-cron")).to_have_value("@hourly")
    expect(other.page.locator("#f-labels")).to_have_value("team=ops")
    other.troubles[:] = [one for one in other.troubles if "409" not in one]


def test_request_that_failed_says_so_with_its_trace(ada: Visitor) -> None:
    ada.go("/subscriptions/new")
    ada.page.route(
        "**/subscriptions/condition", lambda route: route.fulfill(status=500, headers={"X-Trace-Id": "cafe"}, body="")
    )
    ada.page.click("#condition-add")
    expect(ada.page.locator("#toasts")).to_contain_text("The hub could not do this. Nothing was changed. (trace cafe)")
    ada.troubles.clear()


@pytest.mark.parametrize(
    "path", ["/", "/events", "/deliveries", "/subscriptions/new", "/performance", "/workers", "/explain", "/events/new"]
)
def test_nothing_jumps_while_a_page_comes(ada: Visitor, path: str) -> None:
    ada.page.add_init_script(SHIFTS)
    ada.go(path)
    ada.page.wait_for_load_state("networkidle")
    ada.page.wait_for_timeout(300)
    assert ada.page.evaluate("window.__shift") < 0.1
