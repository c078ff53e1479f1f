"""The condition in the form of a subscription: rows, text and JSON in step, imports, fields to choose from, the tester."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bs4 import BeautifulSoup
from hypothesis import HealthCheck, assume, given, settings
from sqlalchemy import insert

from tests.support.clock import Clock
from tests.support.factories import make_event, make_subscription, rows_of
from tests.support.markup import by_id, soup, words
from tests.support.people import HTMX, Person
from tests.support.trees import TREES
from webapp.domain.access import SYSTEM
from webapp.domain.conditions import parse_condition
from webapp.domain.errors import Refused
from webapp.domain.samples import parse_sample
from webapp.runtime import Runtime
from webapp.services import samples
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.store import tables
from webapp.store.feed_fields import seen_fields
from webapp.web.pages.condition_form import ConditionForm

PATH = "/subscriptions/condition"
TREE = {
    "all": [
        {"field": "data.amount", "op": "gt", "value": 100},
        {"any": [{"field": "source", "op": "in", "value": ["shop", "a b"]}, {"not": {"field": "label.x", "op": "exists"}}]},
        {"field": "data.name", "op": "prefix", "value": "Zo", "ci": True, "each": "all"},
        {"field": "data.n", "op": "between", "value": [1, 2.5]},
        {"field": "data.paid", "op": "eq", "value": True},
        {"field": "data.kind", "op": "is_type", "value": "number"},
        {"field": "time", "op": "after", "value": "now-1h"},
    ]
}  # fmt: skip
TEXT = (
    'data.amount>100 (source in (shop, "a b") OR NOT label.x exists) data.name prefix Zo ci each:all'
    " data.n between 1 and 2.5 data.paid:true data.kind is_type number after:-1h"
)


def _inputs(page: BeautifulSoup) -> dict[str, str]:
    """What a browser would send of the part: the state of every input."""
    found: dict[str, str] = {}
    for tag in page.select("[name]"):
        name = str(tag["name"])
        if tag.name == "select":
            chosen = tag.select_one("option[selected]") or tag.select_one("option")
            found[name] = str(chosen["value"]) if chosen else ""
        elif tag.name == "textarea":
            found[name] = tag.get_text()
        elif tag.get("type") not in ("radio", "checkbox") or tag.has_attr("checked"):
            found[name] = str(tag.get("value", ""))
    return found


def _post(person: Person, form: dict[str, str], status: int = 200) -> BeautifulSoup:
    return soup(person.post(PATH, form, headers=HTMX), status=status)


def _turn(person: Person, page: BeautifulSoup, mode: str) -> BeautifulSoup:
    return _post(person, _inputs(page) | {"condition_to": mode})


def test_rows_text_and_json_say_the_same(signed_in: Person) -> None:
    start = {"condition_mode": "json", "condition": json.dumps(TREE)}
    rows = _post(signed_in, start | {"condition_to": "rows"})
    assert _inputs(rows)["condition_mode"] == "rows"
    assert _inputs(rows)["c-1-0-value"] == 'shop, "a b"'
    text = _turn(signed_in, rows, "text")
    assert by_id(text, "f-condition").get_text().strip() == TEXT
    rows = _turn(signed_in, text, "rows")
    again = _turn(signed_in, rows, "json")
    assert json.loads(by_id(again, "f-condition").get_text()) == TREE


def test_what_cannot_be_read_stays_as_it_was_typed(signed_in: Person) -> None:
    page = _post(signed_in, {"condition_mode": "text", "condition_text": "data.a>", "condition_to": "rows"})
    assert _inputs(page)["condition_mode"] == "text"
    assert by_id(page, "f-condition").get_text().strip() == "data.a>"
    assert "At character 8, the end: A value is missing" in words(by_id(page, "f-condition-error"))
    page = _post(signed_in, {"condition_mode": "json", "condition": '{"field": 1', "condition_to": "text"})
    assert by_id(page, "f-condition").get_text().strip() == '{"field": 1'
    form = {"condition_mode": "rows", "c-kind": "all", "c-0-field": "data.a", "c-0-op": "gt", "c-0-as": "number",
            "c-0-value": "many", "c-1-field": "nope", "c-1-op": "eq", "c-1-value": "x"}  # fmt: skip
    page = _post(signed_in, form | {"condition_to": "json"})
    assert _inputs(page)["c-0-value"] == "many"
    assert words(by_id(page, "c-0-error")) == "Write a number, for example 100 or 19.99."
    assert "There is no field 'nope'" in words(by_id(page, "c-1-error"))
    assert "Row 1: Write a number" in words(by_id(page, "f-condition-error"))


def test_rows_cannot_show_line_breaks_and_say_so(signed_in: Person) -> None:
    leaf = json.dumps({"field": "data.a", "op": "eq", "value": "a\nb"})
    page = _post(signed_in, {"condition_mode": "json", "condition": leaf, "condition_to": "rows"})
    assert by_id(page, "f-condition").get_text().strip() == 'data.a:"a\\nb"'
    assert "line breaks" in words(by_id(page, "f-condition-error"))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=TREES)
def test_every_tree_goes_round_the_forms(app: Any, tree: Any) -> None:
    try:
        parse_condition(tree)
    except Refused:
        assume(False)
    for mode in ("rows", "text", "json"):
        assert parse_condition(ConditionForm.from_tree(tree, mode).read().tree).root == parse_condition(tree).root


def test_rows_and_groups_are_added_and_removed(signed_in: Person) -> None:
    page = _post(signed_in, {"condition_mode": "rows", "c-kind": "all", "do": "add"})
    assert by_id(page, "c-0-field").has_attr("autofocus")
    typed = _inputs(page) | {"c-0-field": "data.a", "c-0-op": "exists", "do": "group"}
    page = _post(signed_in, typed)
    assert by_id(page, "c-1-0-field").has_attr("autofocus")
    deeper = _post(signed_in, _inputs(page) | {"do": "group-1"})
    assert {"c-1-2-kind", "c-1-2-1-field"} <= _inputs(deeper).keys()
    page = _post(signed_in, _inputs(deeper) | {"do": "remove-1-0"})
    assert {"c-1-1-kind", "c-0-field"} <= _inputs(page).keys()
    assert _inputs(_post(signed_in, _inputs(page) | {"do": "remove-1"})).keys() >= {"c-0-field"}
    for nonsense in ("add-9-9", "remove-7", "add-x", "remove"):
        _post(signed_in, _inputs(page) | {"do": nonsense})


def test_operators_that_do_not_fit_the_field_are_hidden(signed_in: Person) -> None:
    leaf = {"field": "time", "op": "after", "value": "now"}
    start = {"condition_mode": "json", "condition": json.dumps(leaf), "condition_to": "rows"}
    page = _post(signed_in, start)
    shown = [str(one["value"]) for one in by_id(page, "c-0-op").select("option") if not one.has_attr("hidden")]
    assert shown == ["before", "after", "exists", "missing"]


def test_rows_are_saved_and_come_back_to_be_edited(as_operator: Person, sqlite_rt: Runtime) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("log", "Writes a line.")])
    made = make_subscription(sqlite_rt, condition=TREE)
    page = soup(as_operator.get(f"/subscriptions/{made}/edit"))
    form = _inputs(by_id(page, "subscriptions-form"))
    assert form["condition_mode"] == "rows"
    assert as_operator.post(f"/subscriptions/{made}", form | {"c-0-value": "200"}).status_code == 303
    (row,) = rows_of(sqlite_rt, tables.subscriptions)
    assert row.condition["all"][0]["value"] == 200
    assert row.condition["all"][1:] == TREE["all"][1:]
    page = soup(as_operator.post(f"/subscriptions/{made}", form | {"c-0-value": "x"}), status=422)
    assert words(by_id(page, "c-0-error")).startswith("Write a number")


def test_pattern_of_eventbridge_takes_the_place_of_the_condition(signed_in: Person) -> None:
    pattern = json.dumps({"source": ["shop"], "detail": {"n": [{"numeric": [">", 0, "<", 5]}]}})
    page = _post(signed_in, {"condition_mode": "text", "condition_text": "", "do": "import", "pasted": pattern})
    assert by_id(page, "f-condition").get_text().strip() == "source:shop (data.n>0 data.n<5)"
    assert "Imported. If data.n is a list" in words(page)
    bad = _post(
        signed_in, {"condition_mode": "rows", "do": "import", "pasted": '[{"sql": "x"}]', "c-0-field": "data.x"}
    )
    assert "At /0/sql:" in words(by_id(bad, "f-pasted-error"))
    assert _inputs(bad)["c-0-field"] == "data.x"
    assert _inputs(bad)["pasted"].strip() == '[{"sql": "x"}]'


def test_fields_come_from_schemas_and_events_of_the_pattern(signed_in: Person, sqlite_rt: Runtime) -> None:
    make_event(sqlite_rt, type="order.paid", payload={"amount": 1, "items": [{"sku": "a"}]}, labels={"team": "x"})
    make_event(sqlite_rt, type="user.made", payload={"name": "a"})
    _declare(sqlite_rt, "order.paid", {"properties": {"note": {"type": "string"}}})
    part = soup(signed_in.part("/subscriptions/fields?pattern=order.*"))
    names = [str(one["value"]) for one in part.select("option")]
    assert {"type", "label.team", "data.amount", "data.items[*].sku", "data.note"} <= set(names)
    assert "data.name" not in names
    assert "data.name" in signed_in.part("/subscriptions/fields?pattern=").text


def _declare(rt: Runtime, name: str, schema: dict[str, Any]) -> None:
    at = rt.clock()
    with rt.db.write() as conn:
        conn.execute(insert(tables.event_types), {"name": name, "state": "declared", "owner": "", "description": "",
                                                  "created_at": at, "updated_at": at})  # fmt: skip
        versions = [{"type": name, "version": n, "schema": json.dumps(schema if n == 2 else {}), "note": "",
                     "created_at": at, "created_by": "ada"} for n in (1, 2)]  # fmt: skip
        conn.execute(insert(tables.event_type_versions), versions)


def test_fields_are_read_on_both_databases(rt: Runtime) -> None:
    make_event(rt, type="order.paid", payload={"amount": 1})
    _declare(rt, "order.paid", {"properties": {"note": {}}})
    with rt.db.read() as conn:
        seen = seen_fields(conn, ["order.paid"])
        assert (seen.payloads, seen.schemas) == (({"amount": 1},), ({"properties": {"note": {}}},))
        assert seen_fields(conn, ["nobody"]).schemas == ()
        assert seen_fields(conn, []).payloads == ({"amount": 1},)


RULE = {"pattern": "order.*", "condition_mode": "text", "condition_text": "data.amount>100 source:shop"}


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"event_json": '{"type": "order.paid", "source": "shop", "payload": {"amount": 120}}'}, "would match"),
        ({"event_json": '{"type": "order.paid", "payload": {"amount": 90}}'}, "amount > 100 was 90 – this keeps it out"),
        ({"event_json": '{"amount": 90}'}, "data.amount > 100 was 90"),
        ({"event_json": '{"type": "user.x", "payload": {}}'}, "The pattern order.* does not fit user.x."),
        ({"event_json": "{"}, "This event cannot be tried This is not JSON"),
        ({"event_json": '{"type": 7}'}, "/type"),
        ({"event_id": "evt_nope"}, "This event cannot be tried"),
    ],
)  # fmt: skip
def test_rule_is_tried_on_another_event(signed_in: Person, event: dict[str, str], said: str) -> None:
    assert said in words(soup(signed_in.post("/subscriptions/check", RULE | event, headers=HTMX)))


def test_now_in_a_condition_is_when_the_event_came(signed_in: Person, sqlite_rt: Runtime, clock: Clock) -> None:
    uid = make_event(sqlite_rt, type="order.paid", received_at=clock(), timestamp=clock())
    clock.advance(hours=3)
    rule = {"pattern": "*", "condition_mode": "text", "condition_text": "after:-1h", "event_id": uid}
    assert "would match" in words(soup(signed_in.post("/subscriptions/check", rule, headers=HTMX)))


def test_hostile_conditions_stay_text(signed_in: Person) -> None:
    evil = "'\"><script>alert(1)</script>"
    leaf = {"field": f"data.{evil}x", "op": "in", "value": [evil]}
    start = {"condition_mode": "json", "condition": json.dumps(leaf)}
    for mode in ("rows", "text", "json"):
        assert "<script>alert" not in signed_in.post(PATH, start | {"condition_to": mode}, headers=HTMX).text
    many = {f"c-{n}-field": "data.a" for n in range(90)} | {"condition_mode": "rows", "condition_to": "json"}
    assert "64 comparisons" in words(_post(signed_in, many))


def test_rule_is_tried_on_a_sample_that_the_form_offers(signed_in: Person, sqlite_rt: Runtime) -> None:
    event = {"type": "order.paid", "payload": {"amount": 90}}
    made = samples.save(sqlite_rt, SYSTEM, parse_sample({"name": "Small order", "event": event}, sqlite_rt.clock()))
    offered = soup(signed_in.get("/samples/-/options"))
    assert [(one["value"], one["label"]) for one in offered.select("option")] == [(made, "Small order: order.paid")]
    rule = {"pattern": "order.*", "condition_mode": "text", "condition_text": "data.amount>100", "event_id": made}
    part = soup(signed_in.post("/subscriptions/check", rule))
    assert "data.amount > 100 was 90" in words(by_id(part, "subscriptions-check"))
    fits = soup(signed_in.post("/subscriptions/check", rule | {"condition_text": "data.amount>50"}))
    assert "This event would match" in words(by_id(fits, "subscriptions-check"))
    gone = soup(signed_in.post("/subscriptions/check", rule | {"event_id": "smp_gone"}))
    assert "cannot be tried" in words(by_id(gone, "subscriptions-check"))
