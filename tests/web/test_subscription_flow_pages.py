"""What the page of a subscription says and does about pauses, breakers, releases and what its handler remembers."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of, rows_of
from tests.support.markup import by_id, soup, words
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.services import flow_upkeep
from webapp.store import tables

BREAKER = {"breaker": {"failure_rate": 0.25, "min_tries": 4, "open_for": "30s"}}


def deliver(rt: Runtime, subscription: str, count: int) -> None:
    event = make_event(rt)
    for n in range(count):
        make_delivery(rt, event, subscription, replay=n)


def actions(rt: Runtime) -> list[str]:
    return [row.action for row in rows_of(rt, tables.audit) if row.target_kind == "subscription"]


def page_of(person: Person, subscription: str) -> Any:
    return soup(person.get(f"/subscriptions/{subscription}"))


def test_pause_with_an_end_says_when_it_is_over(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_subscription(sqlite_rt)
    answer = as_operator.post(f"/subscriptions/{made}/pause", {"reason": "Moving", "for": "2h"}, headers=HTMX)
    assert answer.status_code == 204
    said = words(by_id(page_of(as_operator, made), "subscriptions-paused"))
    assert said == "Paused just now : Moving. 0 deliveries are held. It resumes in 2 h ."


@pytest.mark.parametrize(
    ("path", "form"), [("pause", {"for": "soon"}), ("resume", {"pace": "fast"}), ("resume", {"pace": "-1"})]
)
def test_order_that_cannot_be_is_refused(
    as_operator: Person, sqlite_rt: Runtime, path: str, form: dict[str, str]
) -> None:
    made = make_subscription(sqlite_rt)
    assert as_operator.post(f"/subscriptions/{made}/{path}", form).status_code == 422
    assert actions(sqlite_rt) == []


def test_resume_at_a_pace_shows_what_is_left_and_takes_another_pace(as_operator: Person, sqlite_rt: Runtime) -> None:
    made = make_subscription(sqlite_rt)
    deliver(sqlite_rt, made, 3)
    as_operator.post(f"/subscriptions/{made}/pause")
    as_operator.post(f"/subscriptions/{made}/resume", {"pace": "0.5"})
    page = page_of(as_operator, made)
    assert (
        words(by_id(page, "subscriptions-releasing")) == "What was held is let go, 0.5 a second. 3 deliveries are held."
    )
    assert page.select_one("main header [data-state]")["data-state"] == "releasing"  # type: ignore[index]
    as_operator.post(f"/subscriptions/{made}/resume", {"pace": ""})
    assert {row.state for row in rows_of(sqlite_rt, tables.deliveries)} == {"pending"}


def test_breaker_is_shown_with_its_rate_and_can_be_opened_and_closed(
    as_operator: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    made = make_subscription(sqlite_rt, policies=BREAKER)
    deliver(sqlite_rt, made, 1)
    card = words(by_id(page_of(as_operator, made), "subscriptions-breaker"))
    assert "State Closed Failing no tries in 1 min Opens at 25 % of 4 tries or more" in card
    as_operator.post(f"/subscriptions/{made}/breaker/open", headers=HTMX)
    page = page_of(as_operator, made)
    assert "The circuit breaker is open; it opened just now . 1 delivery is held." in words(
        by_id(page, "subscriptions-broken")
    )
    assert "Next probe in 30 s" in words(by_id(page, "subscriptions-breaker"))
    clock.advance(seconds=30)
    flow_upkeep.tend(sqlite_rt)
    assert "half-open" in words(by_id(page_of(as_operator, made), "subscriptions-broken"))
    listed = soup(as_operator.get("/subscriptions?state=breaker"))
    assert "Probing" in words(by_id(listed, f"subscription-{made}"))
    as_operator.post(f"/subscriptions/{made}/breaker/close", headers=HTMX)
    assert page_of(as_operator, made).find(id="subscriptions-broken") is None
    assert sorted(actions(sqlite_rt)) == ["breaker.closed", "breaker.opened"]


def test_list_knows_the_state_and_filters_by_it(signed_in: Person, sqlite_rt: Runtime) -> None:
    plain, broken = make_subscription(sqlite_rt), make_subscription(sqlite_rt, policies=BREAKER)
    signed_in.post(f"/subscriptions/{broken}/breaker/open")
    found = soup(signed_in.get("/subscriptions?state=breaker"))
    assert found.find(id=f"subscription-{plain}") is None
    assert "Breaker open" in words(by_id(found, f"subscription-{broken}"))


def test_what_the_handler_remembers_is_shown_page_by_page_and_forgotten(
    as_operator: Person, as_viewer: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    made = make_subscription(sqlite_rt)
    assert page_of(as_operator, made).find(id="subscriptions-state") is None
    rows = [
        {"subscription_id": made, "key": f"k{n:03}", "value": {"n": n, "s": "<b>" * 400}, "updated_at": clock()}
        for n in range(51)
    ]
    with sqlite_rt.db.write() as conn:
        conn.execute(insert(tables.handler_state), rows)
    part = by_id(page_of(as_operator, made), "subscriptions-state")
    assert (len(part.select("tbody tr")), part.select("b")) == (50, [])
    more = soup(as_operator.get(str(part.select_one("a[rel=next]")["href"])))  # type: ignore[index]
    assert [words(one) for one in by_id(more, "subscriptions-state").select("tbody td:first-child")] == ["k050"]
    assert by_id(page_of(as_viewer, made), "subscriptions-state").select("form") == []
    assert as_viewer.post(f"/subscriptions/{made}/forget", {"key": "k000"}).status_code == 403
    as_operator.post(f"/subscriptions/{made}/forget", {"key": "k000"}, headers=HTMX)
    assert len(rows_of(sqlite_rt, tables.handler_state)) == 50
    assert actions(sqlite_rt) == ["state.forgotten"]


def test_viewer_sees_the_breaker_but_no_buttons(as_viewer: Person, sqlite_rt: Runtime) -> None:
    made = make_subscription(sqlite_rt, policies=BREAKER)
    assert by_id(page_of(as_viewer, made), "subscriptions-breaker").select("form") == []
    for path in ("breaker/open", "breaker/close", "resume"):
        assert as_viewer.post(f"/subscriptions/{made}/{path}").status_code == 403
    assert row_of(sqlite_rt, tables.subscriptions, made).paused_at is None
