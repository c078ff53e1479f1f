"""The first page: what needs somebody, and how to begin; and the counts beside the links."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from tests.support.clock import Clock
from tests.support.factories import make_delivery, make_event, make_subscription
from tests.support.markup import by_id
from tests.support.pages import soup, words
from tests.support.people import HTMX, Person
from webapp.runtime import Runtime
from webapp.services.presence import Presence
from webapp.store.workers import save_worker
from webapp.web.pages import overview
from webapp.web.plots import OVERVIEW


def test_overview_of_a_new_hub_says_how_to_begin(signed_in: Person) -> None:
    page = soup(signed_in.get("/"))
    assert page.select("form[action='/demo']")
    assert "No worker is running" in words(page)


def test_overview_groups_dead_deliveries_by_subscription_and_reason(signed_in: Person, sqlite_rt: Runtime) -> None:
    warehouse, receipt = (make_subscription(sqlite_rt, name=name) for name in ("Warehouse", "Receipt"))
    for _ in range(3):
        make_delivery(sqlite_rt, subscription_id=warehouse, state="dead", reason="exhausted", error_message="503")
    make_delivery(sqlite_rt, subscription_id=receipt, state="dead", reason="permanent")
    said = words(soup(signed_in.get("/")).find(id="overview-body"))
    assert "3 deliveries of Warehouse ran out of tries" in said
    assert "1 delivery of Receipt was given up by the handler" in said


def test_overview_forgets_dead_deliveries_that_were_rerun(signed_in: Person, sqlite_rt: Runtime) -> None:
    rule, uid = make_subscription(sqlite_rt, name="Warehouse"), make_event(sqlite_rt)
    old = make_delivery(sqlite_rt, uid, rule, state="dead", reason="exhausted")
    make_delivery(sqlite_rt, uid, rule, state="succeeded", replay=1, replay_of=old)
    page = soup(signed_in.get("/"))
    assert "ran out of tries" not in words(page)
    assert words(page.find(id="nav-count-deliveries")) == ""


def test_overview_says_in_one_line_that_all_is_well_or_what_is_not(
    signed_in: Person, sqlite_rt: Runtime, clock: Clock
) -> None:
    make_event(sqlite_rt)
    with sqlite_rt.db.write() as conn:
        save_worker(conn, asdict(Presence("w1", "shared", "here", 1, clock())) | {"seen_at": clock()})
    line = by_id(soup(signed_in.get("/")), "overview-health")
    assert line["data-well"] == "yes"
    assert "1 worker" in words(line)
    assert "nothing waits" in words(line)
    make_delivery(sqlite_rt, state="dead", reason="exhausted")
    make_delivery(sqlite_rt, state="pending")
    clock.advance(seconds=90)
    line = by_id(soup(signed_in.get("/")), "overview-health")
    assert line["data-well"] == "no"
    assert words(line).startswith("Not well no worker is running · the oldest due delivery has waited 90 s")
    assert "1 delivery needs action" in words(line)


def test_overview_says_how_it_is_then_what_needs_action_and_the_newest_last(
    signed_in: Person, sqlite_rt: Runtime
) -> None:
    make_delivery(sqlite_rt, state="dead", reason="exhausted")
    page = soup(signed_in.get("/?range=24h"))
    text = str(page)
    places = [text.index(one) for one in ('id="overview-health"', 'id="h-act"', 'id="charts"', 'id="h-recent"')]
    assert places == sorted(places)
    assert [figure["data-plot"] for figure in page.select("[data-plot]")] == list(OVERVIEW)
    assert "range=24h" in str(by_id(page, "overview-body")["hx-get"])


def test_nav_counts_say_what_needs_action(signed_in: Person, sqlite_rt: Runtime) -> None:
    make_delivery(sqlite_rt, state="dead", reason="exhausted")
    part = soup(signed_in.part("/nav/counts"))
    assert words(part.find(id="nav-count-deliveries")) == "1 needs action"
    assert all(tag["hx-swap-oob"] == "true" for tag in part.find_all("span"))


@pytest.mark.parametrize("path", ["/", "/events", "/events/new", "/nav/counts", "/events/newer"])
def test_pages_are_for_people_who_signed_in(stranger: Person, path: str) -> None:
    answer = stranger.get(path)
    assert (answer.status_code, answer.location.partition("?")[0]) == (302, "/sign-in")


def test_demo_is_not_for_viewers(as_viewer: Person) -> None:
    assert as_viewer.post("/demo").status_code == 403


def test_demo_plays_once_at_a_time(as_operator: Person) -> None:
    with overview._playing:
        answer = as_operator.post("/demo", headers=HTMX)
    assert "playing already" in answer.headers["HX-Trigger"]
