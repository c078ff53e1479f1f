"""Two people edit the same thing, on both databases: nobody overwrites unseen, nothing that was typed is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask

from tests.support.factories import make_subscription, row_of
from tests.support.markup import by_id, soup, words
from tests.support.people import HTMX, Person, Program, add_person, add_program
from webapp.domain.access import SYSTEM
from webapp.domain.event_types import parse_type, parse_version
from webapp.domain.schedules import parse_schedule
from webapp.domain.sources import parse_source
from webapp.runtime import Runtime
from webapp.services import event_types, schedules, secrets, sources
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.store import tables
from webapp.store.event_types import get_type, latest_version

SCHEDULE = {"name": "Nightly", "cron": "30 2 * * *", "type": "report.due"}


@pytest.fixture
def both(rt: Runtime) -> Flask:
    from webapp.app import create_app

    register_handlers(rt, [HandlerInfo("log")])
    app = create_app(runtime=rt)
    app.testing = True
    return app


def fields_of(page: BeautifulSoup, form: str = "main form[method=post]") -> dict[str, str]:
    """What a browser would send of the form as it stands."""
    found = page.select_one(form)
    assert found is not None
    sent = {}
    for tag in found.select("input[name], select[name], textarea[name]"):
        if tag.name == "select":
            chosen = tag.select_one("option[selected]") or tag.select_one("option")
            sent[str(tag["name"])] = str(chosen["value"]) if chosen else ""
        elif tag.name == "textarea":
            sent[str(tag["name"])] = tag.get_text().removeprefix("\n").replace("\n", "\r\n")
        elif tag.get("type") not in ("checkbox", "radio") or tag.has_attr("checked"):
            sent[str(tag["name"])] = str(tag.get("value", ""))
    return sent


def open_form(person: Person, path: str) -> dict[str, str]:
    return fields_of(soup(person.get(path)))


def _schedule(rt: Runtime) -> str:
    return schedules.create(rt, SYSTEM, parse_schedule(SCHEDULE, rt.clock()))


def test_conflict_names_who_changed_what_and_keeps_what_was_typed(both: Flask, rt: Runtime) -> None:
    ada, bob = add_person(both, "ada", "developer"), add_person(both, "bob", "developer")
    url = f"/schedules/{(made := _schedule(rt))}"
    his, hers = open_form(bob, f"{url}/edit"), open_form(ada, f"{url}/edit")
    assert ada.post(url, hers | {"cron": "0 4 * * *", "name": "Hers"}).status_code == 303
    page = soup(bob.post(url, his | {"cron": "0 5 * * *", "payload": '{"mine": 1}'}), 409)
    clash = by_id(page, "clash")
    assert "ada schedule.updated" in words(clash)
    assert {row["id"] for row in clash.select("tbody tr")} == {"clash-name", "clash-cron"}
    assert words(by_id(clash, "clash-cron")) == "Cron both of you changed it 30 2 * * * 0 4 * * * 0 5 * * *"
    assert words(by_id(clash, "clash-name")) == "Name Nightly Hers Nightly"
    shown = fields_of(page)
    assert (shown["cron"], shown["payload"], shown["take-name"], shown["take-cron"]) == (
        "0 5 * * *", '{"mine": 1}', "theirs", "mine",
    )  # fmt: skip
    assert row_of(rt, tables.schedules, made).cron == "0 4 * * *"
    assert bob.post(url, shown).status_code == 303
    saved = row_of(rt, tables.schedules, made)
    assert (saved.name, saved.cron, saved.payload, saved.revision) == ("Hers", "0 5 * * *", '{"mine":1}', 3)


@pytest.mark.parametrize(
    ("chosen", "saved"),
    [({"keep": "mine"}, ("Nightly", "0 5 * * *")), ({"take-cron": "theirs"}, ("Hers", "0 4 * * *"))],
)
def test_each_field_is_chosen_or_all_of_mine_is_kept(
    app: Flask, sqlite_rt: Runtime, chosen: dict[str, str], saved: tuple[str, str]
) -> None:
    ada, bob = add_person(app, "ada", "developer"), add_person(app, "bob", "developer")
    url = f"/schedules/{(made := _schedule(sqlite_rt))}"
    his, hers = open_form(bob, f"{url}/edit"), open_form(ada, f"{url}/edit")
    ada.post(url, hers | {"cron": "0 4 * * *", "name": "Hers"})
    shown = fields_of(soup(bob.post(url, his | {"cron": "0 5 * * *"}), 409))
    bob.post(url, shown | chosen)
    row = row_of(sqlite_rt, tables.schedules, made)
    assert (row.name, row.cron) == saved


def test_third_person_is_a_conflict_again_with_the_choices_kept(app: Flask, sqlite_rt: Runtime) -> None:
    ada, bob = add_person(app, "ada", "developer"), add_person(app, "bob", "developer")
    url = f"/schedules/{(made := _schedule(sqlite_rt))}"
    his, hers = open_form(bob, f"{url}/edit"), open_form(ada, f"{url}/edit")
    ada.post(url, hers | {"cron": "0 4 * * *"})
    shown = fields_of(soup(bob.post(url, his | {"name": "His"}), 409))
    ada.post(url, open_form(ada, f"{url}/edit") | {"labels": "team=ops"})
    again = fields_of(soup(bob.post(url, shown), 409))
    assert (again["name"], again["cron"], again["take-labels"]) == ("His", "0 4 * * *", "theirs")
    bob.post(url, again)
    row = row_of(sqlite_rt, tables.schedules, made)
    assert (row.name, row.cron, row.labels) == ("His", "0 4 * * *", {"team": "ops"})


def test_what_was_deleted_meanwhile_can_be_made_anew(app: Flask, sqlite_rt: Runtime, signed_in: Person) -> None:
    made = _schedule(sqlite_rt)
    his = open_form(signed_in, f"/schedules/{made}/edit")
    schedules.delete(sqlite_rt, SYSTEM, made)
    page = soup(signed_in.post(f"/schedules/{made}", his | {"name": "Typed"}), 409)
    assert "deleted meanwhile" in words(page)
    assert signed_in.post("/schedules", fields_of(page)).status_code == 303


def test_condition_and_policies_of_a_subscription_are_chosen_like_any_field(both: Flask, rt: Runtime) -> None:
    ada, bob = add_person(both, "ada", "developer"), add_person(both, "bob", "developer")
    made = make_subscription(rt, condition={"field": "data.amount", "op": "gt", "value": 1})
    url = f"/subscriptions/{made}"
    his, hers = open_form(bob, f"{url}/edit"), open_form(ada, f"{url}/edit")
    assert hers["c-0-value"] == "1"
    assert ada.post(url, hers | {"c-0-value": "50", "p.expires": "2h", "note": "dearer"}).status_code == 303
    page = soup(bob.post(url, his | {"name": "His"}), 409)
    assert "“dearer”" in words(by_id(page, "clash"))
    assert {row["id"] for row in page.select("#clash tbody tr")} == {"clash-condition", "clash-p.expires"}
    assert bob.post(url, fields_of(page)).status_code == 303
    row = row_of(rt, tables.subscriptions, made)
    assert (row.name, row.condition["value"], row.policies) == ("His", 50, {"expires": "2h"})


def test_change_of_the_state_alone_says_that_no_field_differs(as_operator: Person, sqlite_rt: Runtime) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("log")])
    made = make_subscription(sqlite_rt)
    his = open_form(as_operator, f"/subscriptions/{made}/edit")
    as_operator.post(f"/subscriptions/{made}/pause", {})
    page = soup(as_operator.post(f"/subscriptions/{made}", his | {"name": "His"}), 409)
    assert "subscription.paused" in words(by_id(page, "clash"))
    assert "None of the fields" in words(by_id(page, "clash"))
    assert as_operator.post(f"/subscriptions/{made}", fields_of(page)).status_code == 303


def test_source_and_event_type_show_what_differs(both: Flask, rt: Runtime) -> None:
    ada = add_person(both, "ada", "developer")
    source = sources.create(rt, SYSTEM, parse_source({"name": "Shop", "kind": "github"})).id
    event_types.put(rt, SYSTEM, "order.paid", parse_type({"owner": "shop"}))
    for url, form, name in (
        (f"/sources/{source}", f"/sources/{source}/edit", "event_source"),
        ("/event-types/order.paid/edit", "/event-types/order.paid/edit", "owner"),
    ):
        first, second = open_form(ada, form), open_form(ada, form)
        assert ada.post(url, first | {name: "theirs"}).status_code == 303
        page = soup(ada.post(url, second | {name: "mine"}), 409)
        assert {row["id"] for row in page.select("#clash tbody tr")} == {f"clash-{name}"}
        assert ada.post(url, fields_of(page)).status_code == 303
        assert open_form(ada, form)[name] == "mine"


def test_version_that_was_added_meanwhile_is_compared(as_operator: Person, sqlite_rt: Runtime) -> None:
    rt, url = sqlite_rt, "/event-types/order.paid/versions"
    event_types.put(rt, SYSTEM, "order.paid", parse_type({}))
    mine = open_form(as_operator, url)
    event_types.add_version(rt, SYSTEM, "order.paid", parse_version({"schema": {"type": "object", "title": "Theirs"}}))
    page = soup(as_operator.post(url, mine | {"schema": '{"type": "object", "title": "Mine"}'}), 409)
    assert "Theirs" in words(by_id(page, "clash-schema"))
    assert as_operator.post(url, fields_of(page)).status_code == 303
    with rt.db.read() as conn:
        latest = latest_version(conn, "order.paid")
        assert get_type(conn, "order.paid").revision == 3
    assert latest is not None
    assert (latest.version, '"Mine"' in latest.schema) == (2, True)


def test_value_of_a_secret_is_not_overwritten_unseen_and_never_sent_back(both: Flask, rt: Runtime) -> None:
    ada = add_person(both, "ada", "admin")
    secrets.create(rt, SYSTEM, "SHOP", "first")
    form = fields_of(soup(ada.get("/settings/secrets/SHOP")), 'main form[action$="/value"]')
    assert form["revision"] == "1"
    secrets.change(rt, SYSTEM, "SHOP", value="theirs")
    page, part = (
        ada.post("/settings/secrets/SHOP/value", form | {"value": "s3cr3t"}, headers=headers) for headers in ({}, HTMX)
    )
    for answer in (page, part):
        assert "secret.replaced" in words(by_id(soup(answer, 409), "secret-clash"))
        assert "s3cr3t" not in answer.text
    fresh = by_id(soup(part, 409), "secret-revision")
    assert (fresh["value"], fresh["hx-swap-oob"]) == ("2", "true")
    assert secrets.read_values(rt, ["SHOP"]) == {"SHOP": "theirs"}
    ada.post("/settings/secrets/SHOP/value", {"value": "s3cr3t", "revision": "2"})
    assert secrets.read_values(rt, ["SHOP"]) == {"SHOP": "s3cr3t"}


def test_description_of_a_secret_shows_theirs(signed_in: Person, sqlite_rt: Runtime) -> None:
    secrets.create(sqlite_rt, SYSTEM, "SHOP", "value", "old")
    url, form = "/settings/secrets/SHOP/description", 'main form[action$="/description"]'
    mine = fields_of(soup(signed_in.get("/settings/secrets/SHOP")), form)
    secrets.change(sqlite_rt, SYSTEM, "SHOP", description="theirs")
    page = soup(signed_in.post(url, mine | {"description": "mine"}), 409)
    assert words(by_id(page, "clash-description")) == "Description both of you changed it old theirs mine"
    assert signed_in.post(url, fields_of(page, form)).status_code == 303


@pytest.mark.parametrize(
    "opened", ["{", "[]", '{"texts": 1, "entry": ""}', '{"texts": {"cron": 1}, "entry": ""}', "[" * 9000]
)
def test_hostile_note_of_what_was_opened_is_as_good_as_none(
    as_operator: Person, sqlite_rt: Runtime, opened: str
) -> None:
    made = _schedule(sqlite_rt)
    mine = open_form(as_operator, f"/schedules/{made}/edit")
    answer = as_operator.post(f"/schedules/{made}", mine | {"revision": "99", "cron": "@daily", "opened": opened})
    assert words(by_id(soup(answer, 409), "clash-cron")) == "Cron 30 2 * * * @daily"


Make = Callable[[Program], tuple[str, Any, str]]


def _made_schedule(api: Program) -> tuple[str, Any, str]:
    made = api.post("/api/v1/schedules", SCHEDULE)
    return made.json["links"]["self"], SCHEDULE | {"cron": "@hourly"}, "PUT"


def _made_source(api: Program) -> tuple[str, Any, str]:
    draft = {"name": "Shop", "kind": "github"}
    made = api.post("/api/v1/sources", draft)
    return made.json["links"]["self"], draft | {"name": "Other"}, "PUT"


def _made_secret(api: Program) -> tuple[str, Any, str]:
    made = api.post("/api/v1/secrets", {"name": "SHOP", "value": "x"})
    assert made.headers["ETag"] == '"1"'
    return "/api/v1/secrets/SHOP", {"value": "y"}, "PATCH"


def _made_type(api: Program) -> tuple[str, Any, str]:
    api.send("PUT", "/api/v1/event-types/order.paid", {"owner": "shop"})
    return "/api/v1/event-types/order.paid", {"owner": "billing"}, "PUT"


def _made_subscription(api: Program) -> tuple[str, Any, str]:
    draft = {"name": "All", "pattern": "*", "handler": "log"}
    return api.post("/api/v1/subscriptions", draft).json["links"]["self"], draft | {"name": "Every"}, "PUT"


@pytest.mark.parametrize("make", [_made_schedule, _made_source, _made_secret, _made_type, _made_subscription])
def test_api_changes_only_the_revision_that_was_seen(both: Flask, make: Make) -> None:
    api = add_program(both, "admin")
    url, change, method = make(api)
    seen = api.get(url).headers["ETag"]
    changed = api.send(method, url, change, headers={"If-Match": seen})
    assert changed.status_code == 200
    assert changed.headers["ETag"] == api.get(url).headers["ETag"] != seen
    stale = api.send(method, url, change, headers={"If-Match": seen})
    assert (stale.status_code, stale.content_type) == (412, "application/problem+json")
    assert stale.json["type"] == "/problems/stale-revision"
    assert api.send(method, url, change, headers={"If-Match": "rubbish"}).status_code == 412
    assert api.send(method, url, change, headers={"If-Match": "*"}).status_code == 200
