"""What policies decided, in words: pages, lists, the status document and the answers of the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support import factories as make
from tests.support.pages import soup, words
from tests.support.people import HTMX, Person, Program
from webapp.domain.instants import iso
from webapp.runtime import Runtime
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.store import tables

EVENTS = "/api/v1/events"


def publish(api: Program, **fields: Any) -> Any:
    answer = api.post(EVENTS, {"type": "order.paid", "source": "shop"} | fields)
    assert answer.status_code == 202, answer.json
    return answer.json


def test_a_delayed_event_is_scheduled_and_can_be_cancelled(api: Program, signed_in: Person, sqlite_rt: Runtime) -> None:
    make.make_subscription(sqlite_rt)
    then = sqlite_rt.clock() + timedelta(hours=2)
    accepted = publish(api, delay="2h")
    assert api.get(f"{EVENTS}/{accepted['uid']}").json["deliver_at"] == iso(then)
    assert api.get(f"{EVENTS}/{accepted['uid']}/status").json["handlers"][0]["due_at"] == iso(then)
    page = words(soup(signed_in.get(f"/events/{accepted['uid']}")))
    assert "scheduled for 2026-03-02 14:00" in page
    assert "due in 2 h" in page
    delivery = accepted["deliveries"][0]["id"]
    assert "Due in 2 h" in words(soup(signed_in.get("/deliveries?state=pending")))
    assert api.post(f"/api/v1/deliveries/{delivery}/cancel").json["state"] == "cancelled"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"deliver_at": "2020-01-01T00:00:00Z"}, "/deliver_at"),
        ({"delay": "2y"}, "/delay"),
        ({"delay": "1h", "deliver_at": "2026-03-02T13:00:00Z"}, "/delay"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_with_its_place(api: Program, fields: dict[str, Any], pointer: str) -> None:
    answer = api.post(EVENTS, {"type": "order.paid"} | fields)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [pointer]


def test_the_form_schedules(as_operator: Person, sqlite_rt: Runtime) -> None:
    form = {"type": "order.paid", "source": "tests", "payload": "{}", "once": "web_1"}
    shown = soup(as_operator.post("/events", form | {"deliver_at": "10m"}, headers=HTMX))
    then = sqlite_rt.clock() + timedelta(minutes=10)
    assert [row.deliver_at for row in make.rows_of(sqlite_rt, tables.events)] == [then]
    assert shown.select_one("[name=deliver_at]")["value"] == ""  # type: ignore[index]
    for text in ("soon", "2020-01-01T00:00:00Z"):
        refused = as_operator.post("/events", form | {"deliver_at": text}, headers=HTMX)
        field = soup(refused).select_one("[name=deliver_at]")
        assert field is not None
        assert (refused.status_code, field["aria-invalid"], field["value"]) == (422, "true", text)


@pytest.mark.parametrize(
    ("fields", "reason", "said"),
    [
        ({"mode": "shadow"}, "shadow", "Its subscription is in shadow mode"),
        ({"policies": {"rate_limit": {"limit": 1, "period": "1h"}}}, "rate_limited", "Over the rate limit"),
        ({"policies": {"dedupe": {"key": "{type}", "window": "1h"}}}, "duplicate", "Duplicate of the first delivery"),
        ({"policies": {"debounce": {"period": "1h"}}}, "superseded", "Superseded by a later delivery"),
    ],
)
def test_why_a_delivery_was_skipped_is_said(
    api: Program, signed_in: Person, sqlite_rt: Runtime, fields: dict[str, Any], reason: str, said: str
) -> None:
    make.make_subscription(sqlite_rt, **fields)
    first, last = publish(api), publish(api)
    skipped, other = (first, last) if reason == "superseded" else (last, first)
    key, kept = skipped["deliveries"][0]["id"], other["deliveries"][0]["id"]
    [status] = api.get(f"{EVENTS}/{skipped['uid']}/status").json["handlers"]
    assert (status["state"], status["reason"]) == ("skipped", reason)
    assert status["explanation"]
    shown = api.get(f"/api/v1/deliveries/{key}").json
    linked = reason in ("duplicate", "superseded")
    assert shown["superseded_by"] == status["superseded_by"] == (kept if linked else None)
    for path in (f"/events/{skipped['uid']}", f"/deliveries/{key}", "/deliveries?state=skipped"):
        page = soup(signed_in.get(path))
        assert said in words(page)
        assert bool(page.select(f'a[href="/deliveries/{kept}"]')) or not linked
    assert "1 skipped" in words(soup(signed_in.get("/events")))


def test_a_loop_is_shown_and_released_with_a_button(api: Program, signed_in: Person, sqlite_rt: Runtime) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("log")])
    make.make_subscription(sqlite_rt)
    cause = make.make_event(sqlite_rt, depth=sqlite_rt.settings.max_causation_depth)
    accepted = publish(api, causation_id=cause)
    delivery = accepted["deliveries"][0]
    assert (delivery["state"], delivery["reason"]) == ("held", "loop")
    page = soup(signed_in.get(f"/events/{accepted['uid']}"))
    assert "too many events caused one another" in words(page)
    assert page.select_one(f'a[href="/events/{cause}"]') is not None
    assert "Release" in words(page)
    assert signed_in.post(f"/deliveries/{delivery['id']}/retry").status_code < 400
    assert make.row_of(sqlite_rt, tables.deliveries, delivery["id"]).state == "pending"
