"""Trying an event, and why one subscription did not run: the pages and their parts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, rows_of
from tests.support.markup import by_id, soup, words
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.store import tables

BIG: dict[str, Any] = {"field": "data.amount", "op": "gt", "value": 500}


def _form(**fields: str) -> dict[str, str]:
    return {
        "type": "order.paid",
        "source": "shop",
        "subject": "",
        "labels": "",
        "payload": '{"amount": 129.5}',
    } | fields


def test_tried_event_shows_who_would_take_it_and_stores_nothing(signed_in: Person, sqlite_rt: Runtime) -> None:
    make_subscription(sqlite_rt, name="Big", pattern="order.*", condition=BIG)
    make_subscription(sqlite_rt, name="All")
    make_subscription(sqlite_rt, name="Paused", paused_at=sqlite_rt.clock())
    part = soup(signed_in.post("/explain", _form(), headers=HTMX))
    result = by_id(part, "explain-result")
    assert "2 of 3 subscriptions that listen for it would take it" in words(result)
    assert {words(row.select_one("a")): str(row["data-would"]) for row in result.select("[data-would]")} == {
        "All": "run", "Paused": "held", "Big": "skip",
    }  # fmt: skip
    assert "data.amount > 500 was 129.5" in words(result)
    assert rows_of(sqlite_rt, tables.events) == rows_of(sqlite_rt, tables.deliveries) == []


def test_page_is_the_same_without_htmx(signed_in: Person, sqlite_rt: Runtime) -> None:
    make_subscription(sqlite_rt, name="All")
    page, part = soup(signed_in.post("/explain", _form())), soup(signed_in.post("/explain", _form(), headers=HTMX))
    assert page.find("h1") is not None
    assert words(by_id(page, "explain-result")) == words(by_id(part, "explain-result"))


def test_form_that_is_wrong_comes_back_with_its_faults(signed_in: Person) -> None:
    answer = signed_in.post("/explain", _form(type="Order Paid", payload="{", labels="x"), headers=HTMX)
    part = soup(answer, 422)
    assert {str(tag["id"]) for tag in part.select("[id$=-error]") if words(tag)} == {
        "f-type-error",
        "f-payload-error",
        "f-labels-error",
    }
    assert part.select_one("#f-type")["value"] == "Order Paid"  # type: ignore[index]


def test_form_is_filled_with_an_event_that_came(signed_in: Person, sqlite_rt: Runtime) -> None:
    uid = make_event(sqlite_rt, type="stock.low", payload={"sku": "a"}, labels={"tier": "gold"})
    page = soup(signed_in.get(f"/explain?again={uid}"))
    assert page.select_one("#f-type")["value"] == "stock.low"  # type: ignore[index]
    assert '"sku": "a"' in page.select_one("#f-payload").text  # type: ignore[union-attr]
    assert "tier=gold" in page.select_one("#f-labels").text  # type: ignore[union-attr]
    assert signed_in.get("/explain?again=evt_no").status_code == 404


def test_one_subscription_can_be_asked_for(signed_in: Person, sqlite_rt: Runtime) -> None:
    users = make_subscription(sqlite_rt, name="Users", pattern="user.*")
    part = soup(signed_in.post("/explain", _form(subscription=users), headers=HTMX))
    assert words(by_id(part, "events-why-answer")) == "Users : The pattern user.* does not fit order.paid."
    assert part.select_one(f"option[value='{users}']").has_attr("selected")  # type: ignore[union-attr]
    assert "No subscription listens for order.paid" in words(part)


# The event page


def test_event_page_answers_why_not_that_one_by_its_address(
    signed_in: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    uid = make_event(sqlite_rt, type="order.paid")
    clock.advance(hours=1)
    asked = {
        make_subscription(sqlite_rt, name="Users", pattern="user.*"): "The pattern user.* does not fit order.paid. It did not exist yet.",
        make_subscription(sqlite_rt, name="Late", pattern="order.*"): "did not exist yet; today it would run",
        make_subscription(sqlite_rt, name="Gone", deleted_at=clock()): "The subscription is deleted.",
        "sub_nothing": "There is no subscription sub_nothing",
    }  # fmt: skip
    for subscription, said in asked.items():
        page = soup(signed_in.get(f"/events/{uid}?subscription={subscription}"))
        part = soup(signed_in.part(f"/events/{uid}/why?subscription={subscription}"))
        assert said in words(by_id(page, "events-why-answer"))
        assert words(by_id(page, "events-why")) == words(by_id(part, "events-why"))


def test_address_bar_keeps_what_was_asked(signed_in: Person, sqlite_rt: Runtime) -> None:
    uid, users = make_event(sqlite_rt), make_subscription(sqlite_rt, pattern="user.*")
    answer = signed_in.part(f"/events/{uid}/why?subscription={users}")
    assert answer.headers["HX-Replace-Url"] == f"/events/{uid}?subscription={users}"
    assert signed_in.part(f"/events/{uid}/why").headers["HX-Replace-Url"] == f"/events/{uid}"
    assert signed_in.part("/events/evt_no/why").status_code == 404


def test_event_page_tells_then_from_today(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    uid, ran = make_event(sqlite_rt), make_subscription(sqlite_rt, name="Ran", paused_at=clock())
    delivery = make_delivery(sqlite_rt, uid, ran, state="succeeded")
    clock.advance(hours=1)
    make_subscription(sqlite_rt, name="Late")
    why = by_id(soup(signed_in.get(f"/events/{uid}")), "events-why")
    assert "matched; today it would be held, because it is paused" in words(why)
    assert "did not exist yet; today it would run" in words(why)
    assert why.select(f"a[href='/deliveries/{delivery}']")


def test_long_list_is_cut_until_it_is_asked_for(signed_in: Person, sqlite_rt: Runtime) -> None:
    uid = make_event(sqlite_rt)
    for n in range(27):
        make_subscription(sqlite_rt, name=f"Rule {n}")
    cut = by_id(soup(signed_in.get(f"/events/{uid}")), "events-why")
    assert len(cut.select("[data-would]")) == 25
    assert "Show 2 more that listen for this type" in words(cut)
    assert len(soup(signed_in.part(f"/events/{uid}/why?all=1")).select("[data-would]")) == 27


@pytest.mark.parametrize("path", ["/explain", "/events/{uid}/why"])
def test_explaining_is_for_everybody_who_may_look(
    as_viewer: Person, stranger: Person, sqlite_rt: Runtime, path: str
) -> None:
    path = path.format(uid=make_event(sqlite_rt))
    assert as_viewer.get(path).status_code == 200
    assert stranger.get(path).status_code == 302


def test_hostile_words_stay_text(signed_in: Person, sqlite_rt: Runtime) -> None:
    evil = "<img src=x onerror=alert(1)>"
    make_subscription(sqlite_rt, name=evil, condition={"field": "data.x", "op": "eq", "value": evil})
    uid = make_event(sqlite_rt, payload={"x": evil + "!"})
    for answer in (
        signed_in.get(f"/events/{uid}?subscription={evil}"),
        signed_in.post("/explain", _form(payload=f'{{"x": "{evil}?"}}'), headers=HTMX),
        signed_in.get(f"/explain?type={evil}"),
    ):
        assert answer.status_code == 200
        assert "<img src" not in answer.text
