"""The backtest of the form: what it counts, compares, draws and refuses, and looking further."""

from __future__ import annotations

import json

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_event, make_subscription
from tests.support.markup import by_id, soup, words
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.services import backtest as service

PATH = "/subscriptions/backtest"
OVER_100 = '{"field": "data.amount", "op": "gt", "value": 100}'


@pytest.fixture
def orders(sqlite_rt: Runtime, clock: Clock) -> list[str]:
    """Four orders an hour apart, oldest first."""
    uids = []
    for amount in (50, 101, 150, 200):
        clock.advance(hours=1)
        uids.append(make_event(sqlite_rt, type="order.paid", payload={"amount": amount}))
    return uids


def test_form_offers_a_backtest_that_knows_what_it_compares_with(signed_in: Person, sqlite_rt: Runtime) -> None:
    saved = make_subscription(sqlite_rt)
    new, edit = (soup(signed_in.get(f"/subscriptions/{path}")) for path in ("new", f"{saved}/edit"))
    assert new.select("#subscriptions-backtest button[hx-post='/subscriptions/backtest'][type=button]")
    assert new.select("input[name=subscription_id]") == []
    assert edit.select_one("input[name=subscription_id]")["value"] == saved  # type: ignore[index]


def test_backtest_counts_and_shows_samples(signed_in: Person, orders: list[str]) -> None:
    part = soup(signed_in.post(PATH, {"pattern": "order.*", "condition": OVER_100}, headers=HTMX))
    said = words(by_id(part, "subscriptions-backtest"))
    assert "3 of 4 events matched, 75 %" in said
    assert "Against the saved rule" not in said
    assert [a["href"] for a in part.select("details a")] == [f"/events/{uid}" for uid in orders[:0:-1]]
    assert len(part.select("svg.backtest-chart rect.kept")) == 3
    assert part.find(string="Look further") is None


def test_backtest_tells_what_would_change(signed_in: Person, sqlite_rt: Runtime, orders: list[str]) -> None:
    saved = make_subscription(sqlite_rt, pattern="*", condition={"field": "data.amount", "op": "lt", "value": 150})
    form = {"pattern": "order.*", "condition": OVER_100, "subscription_id": saved}
    part = soup(signed_in.post(PATH, form, headers=HTMX))
    assert "Against the saved rule: 2 added, 1 removed" in words(by_id(part, "subscriptions-backtest"))
    assert (len(part.select("rect.added")), len(part.select("rect.removed"))) == (2, 1)
    assert part.select_one("input[name=subscription_id]")["value"] == saved  # type: ignore[index]
    same = soup(
        signed_in.post(PATH, form | {"pattern": "*", "condition": '{"field": "data.amount", "op": "lt", "value": 150}'})
    )
    assert "Exactly the events that the saved rule matches" in words(by_id(same, "subscriptions-backtest"))


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"pattern": "Order"}, "/pattern Write a type or a pattern"),
        ({"pattern": "*", "condition": "{"}, "/condition This is not JSON"),
        ({"pattern": "*", "condition": '{"field": "x", "op": "eq", "value": 1}'}, "/condition/field There is no field"),
    ],
)
def test_rule_that_cannot_be_tried_says_why(
    signed_in: Person, sqlite_rt: Runtime, form: dict[str, str], said: str
) -> None:
    saved = make_subscription(sqlite_rt)
    answer = signed_in.post(PATH, form | {"subscription_id": saved}, headers=HTMX)
    part = soup(answer, 422)
    assert said in words(by_id(part, "subscriptions-backtest"))
    assert part.select_one("input[name=subscription_id]")["value"] == saved  # type: ignore[index]


def test_looking_further_goes_on_with_the_rule_that_was_tried(
    signed_in: Person, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EVENTS", 3)
    part = soup(signed_in.post(PATH, {"pattern": "order.*", "condition": OVER_100}, headers=HTMX))
    assert "3 of 3 events matched" in words(by_id(part, "subscriptions-backtest"))
    button = part.select_one("button[hx-vals]")
    assert button is not None
    further = soup(signed_in.post(PATH, json.loads(str(button["hx-vals"])), headers=HTMX))
    assert further.find(id="subscriptions-backtest") is None
    assert "0 of 1 event matched" in words(further)
    assert further.find(string="Look further") is None


def test_backtest_that_ran_out_of_time_says_so(
    signed_in: Person, orders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "BUDGET_S", -1.0)
    part = soup(signed_in.post(PATH, {"pattern": "*"}, headers=HTMX))
    assert "The time was up after 1 of 10,000 events." in words(part)
    assert part.find(string="Look further")


def test_backtest_before_any_event_came(signed_in: Person) -> None:
    assert "No event has come yet." in words(soup(signed_in.post(PATH, {"pattern": "*"}, headers=HTMX)))


def test_hostile_types_and_conditions_stay_text(
    signed_in: Person, sqlite_rt: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "EVENTS", 1)
    make_event(sqlite_rt, source='"><img src=x onerror=alert(1)>')
    condition = '{"field": "data.x", "op": "ne", "value": "\'\\"><script>alert(1)</script>"}'
    part = signed_in.post(PATH, {"pattern": "*", "condition": condition}, headers=HTMX)
    assert "<script" not in part.text
    assert "<img" not in part.text
    assert json.loads(str(soup(part).select_one("button[hx-vals]")["hx-vals"]))["condition"] == condition  # type: ignore[index]


def test_backtest_is_for_everybody_who_may_look(as_viewer: Person, stranger: Person, orders: list[str]) -> None:
    assert as_viewer.post(PATH, {"pattern": "*"}, headers=HTMX).status_code == 200
    assert stranger.post(PATH, {"pattern": "*"}).status_code == 302
