"""What forms are told while they are filled in: by the code that judges them in the end, and only of what was touched."""

from __future__ import annotations

import pytest

from tests.support.markup import by_id, soup, words
from tests.support.people import HTMX, Person
from webapp.domain.access import SYSTEM
from webapp.domain.event_types import parse_type
from webapp.runtime import Runtime
from webapp.services import event_types

BROKEN = [
    ("/schedules/-/check", {"cron": "never", "name": ""}, "cron"),
    ("/subscriptions/-/check", {"pattern": "Order!", "timeout": "soon"}, "timeout"),
    ("/subscriptions/-/check", {"p.throttle.limit": "x", "p.throttle.period": "1m"}, "p.throttle.limit"),
    ("/subscriptions/-/check", {"condition_mode": "text", "condition_text": "data.a >"}, "condition"),
    ("/sources/-/check", {"kind": "github", "name": ""}, "name"),
    ("/event-types/-/check", {"name": "Order Paid"}, "name"),
    ("/event-types/order.paid/versions/check", {"schema": "{"}, "schema"),
    ("/settings/keys/-/check", {"name": "shop", "role": "viewer", "rate_limit": "lots"}, "rate_limit"),
    ("/settings/secrets/-/check", {"name": "a b"}, "name"),
    ("/bulk/-/check", {"kind": "retry", "since": "yesterdayish", "reason": ""}, "since"),
    ("/explain/-/check", {"type": "Order Paid", "payload": "{}"}, "type"),
    ("/events/check", {"type": "a", "labels": "x", "payload": "{}", "mode": "json"}, "labels"),
]


@pytest.fixture(autouse=True)
def declared(sqlite_rt: Runtime) -> None:
    event_types.put(sqlite_rt, SYSTEM, "order.paid", parse_type({}))


@pytest.mark.parametrize(("url", "form", "name"), BROKEN)
def test_field_that_was_touched_is_told_beside_it_and_no_other(
    signed_in: Person, url: str, form: dict[str, str], name: str
) -> None:
    answer = signed_in.post(url, form | {"touched": name}, headers=HTMX)
    part = soup(answer, 422)
    slot = by_id(part, f"f-{name}-error")
    assert words(slot)
    assert slot["hx-swap-oob"] == "true"
    told = {str(tag["id"]) for tag in part.select("[id$=-error]") if words(tag)}
    assert told == {f"f-{name}-error"}
    assert part.find(["input", "textarea", "select"]) is None  # the fields themselves are left alone
    nothing = signed_in.post(url, form | {"touched": ""}, headers=HTMX)
    assert nothing.status_code == 200
    assert not words(soup(nothing))


def test_field_that_was_mended_gets_an_empty_place(signed_in: Person) -> None:
    form = {"cron": "@daily", "name": "", "touched": "cron"}
    part = soup(signed_in.post("/schedules/-/check", form, headers=HTMX))
    assert words(by_id(part, "f-cron-error")) == ""


@pytest.mark.parametrize("touched", ["<script>", '"><b>', "x" * 90, " ".join(["cron"] * 5000)])
def test_hostile_names_are_left_out(signed_in: Person, touched: str) -> None:
    answer = signed_in.post("/schedules/-/check", {"cron": "never", "touched": touched}, headers=HTMX)
    slots = [str(tag["id"]) for tag in soup(answer, answer.status_code).select("[id]")]
    assert slots in ([], ["f-cron-error"])


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/subscriptions/new", "/subscriptions/-/check"),
        ("/schedules/new", "/schedules/-/check"),
        ("/sources/new?kind=github", "/sources/-/check"),
        ("/event-types/-/new", "/event-types/-/check"),
        ("/event-types/order.paid/edit", "/event-types/-/check"),
        ("/event-types/order.paid/versions", "/event-types/order.paid/versions/check"),
        ("/settings/keys", "/settings/keys/-/check"),
        ("/settings/secrets", "/settings/secrets/-/check"),
        ("/bulk/new", "/bulk/-/check"),
        ("/explain", "/explain/-/check"),
        ("/events/new", "/events/check"),
    ],
)
def test_every_form_is_checked_the_same_way_and_each_field_has_a_place_for_it(
    signed_in: Person, path: str, url: str
) -> None:
    page = soup(signed_in.get(path))
    check = page.select_one("[data-check]")
    assert check is not None
    assert check["hx-post"] == url
    form = check.find_parent("form")
    assert form is not None
    assert form.has_attr("novalidate")
    assert form.has_attr("data-guard") or path == "/explain"
    for tag in form.select("[aria-describedby]"):
        for place in str(tag["aria-describedby"]).split():
            assert page.find(id=place) is not None, f"{tag['id']} points to {place}"


def test_form_that_was_refused_counts_as_unsaved(signed_in: Person) -> None:
    page = soup(signed_in.post("/schedules", {"name": "x"}), 422)
    assert by_id(page, "schedules-form")["data-guard"] == "unsaved"
    assert by_id(soup(signed_in.get("/schedules/new")), "schedules-form")["data-guard"] == ""
