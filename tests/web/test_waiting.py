"""What a delivery waits for, on its page, on its event's page and over HTTP; and the way out of a blocked key."""

from __future__ import annotations

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription, row_of
from tests.support.markup import soup, words
from tests.support.people import Person, Program
from webapp.runtime import Runtime
from webapp.store import tables


@pytest.fixture
def blocked(sqlite_rt: Runtime, clock: Clock) -> tuple[str, str]:
    """A dead delivery of an ordered key and one that waits for it."""
    subscription = make_subscription(sqlite_rt, policies={"ordering": {"key": "{data.a}"}})
    keys = {"order_key": "<b>7</b>"}
    dead = make_delivery(sqlite_rt, make_event(sqlite_rt), subscription, state="dead", reason="exhausted", **keys)
    clock.advance(seconds=1)
    return dead, make_delivery(sqlite_rt, make_event(sqlite_rt), subscription, gated=True, **keys)


def test_pages_name_what_is_waited_for(signed_in: Person, sqlite_rt: Runtime, blocked: tuple[str, str]) -> None:
    dead, waiting = blocked
    event = row_of(sqlite_rt, tables.deliveries, waiting).event_uid
    for page in (f"/deliveries/{waiting}", f"/events/{event}"):
        shown = soup(signed_in.get(page))
        told = words(shown).replace(" ,", ",")
        assert "waits for an earlier delivery of another event with the same key <b>7</b>, which is dead" in told
        assert shown.select_one(f"a[href='/deliveries/{dead}']")


def test_blocking_one_can_be_skipped_from_its_page(
    as_operator: Person, sqlite_rt: Runtime, blocked: tuple[str, str]
) -> None:
    dead, waiting = blocked
    event = row_of(sqlite_rt, tables.deliveries, dead).event_uid
    for page in (f"/deliveries/{dead}", f"/events/{event}"):
        assert soup(as_operator.get(page)).select_one(f"form[action='/deliveries/{dead}/skip']"), page
    assert as_operator.post(f"/deliveries/{dead}/skip").status_code == 303
    assert row_of(sqlite_rt, tables.deliveries, dead).state == "skipped"
    assert not row_of(sqlite_rt, tables.deliveries, waiting).gated
    assert not soup(as_operator.get(f"/deliveries/{dead}")).select_one("form[action$='/skip']")


def test_viewer_has_no_way_to_skip(as_viewer: Person, blocked: tuple[str, str]) -> None:
    assert not soup(as_viewer.get(f"/deliveries/{blocked[0]}")).select_one("form[action$='/skip']")
    assert as_viewer.post(f"/deliveries/{blocked[0]}/skip").status_code == 403


def test_api_says_what_is_waited_for_and_skips(api: Program, sqlite_rt: Runtime, blocked: tuple[str, str]) -> None:
    dead, waiting = blocked
    found = api.get(f"/api/v1/deliveries/{waiting}").json
    assert found is not None
    reason = found["waiting_for"]
    assert (reason["kind"], reason["delivery_id"], reason["state"]) == ("order", dead, "dead")
    assert found["queue"] == {"ahead": 0, "is_more": False, "eta_s": None}
    assert api.post(f"/api/v1/deliveries/{waiting}/skip").status_code == 409
    answer = api.post(f"/api/v1/deliveries/{dead}/skip")
    assert (answer.status_code, answer.json["state"], answer.json["reason"]) == (200, "skipped", "person")  # type: ignore[index]
    found = api.get(f"/api/v1/deliveries/{waiting}").json
    assert found is not None
    assert found["waiting_for"] is None
