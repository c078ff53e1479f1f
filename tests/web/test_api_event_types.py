"""The catalog over the JSON API."""

from __future__ import annotations

from typing import Any

from flask import Flask

from tests.support import factories as make
from tests.support.people import Program, add_program
from tests.support.schemas import faults
from webapp.runtime import Runtime
from webapp.services import discovery

PATH = "/api/v1/event-types"
SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}}


def declare(api: Program, name: str = "order.paid", **fields: Any) -> Any:
    return api.send("PUT", f"{PATH}/{name}", fields)


def test_the_life_of_a_type(api: Program) -> None:
    made = declare(api, owner="Shop", validation="reject", compatibility="backward")
    assert (made.status_code, made.headers["ETag"]) == (201, '"1"')
    added = api.post(f"{PATH}/order.paid/versions", {"schema": SCHEMA, "examples": [{"amount": 1}], "note": "first"})
    assert added.status_code == 201
    assert added.json is not None
    assert added.json["latest_version"] == 1
    assert added.json["versions"][0]["schema"] == SCHEMA
    worse = api.post(f"{PATH}/order.paid/versions", {"schema": SCHEMA | {"required": ["amount", "x"]}})
    assert worse.status_code == 422
    assert worse.json is not None
    assert worse.json["errors"][0]["pointer"] == "/schema/required"
    assert declare(api, owner="Shop", deprecated=True, deprecation="use order.settled").status_code == 200
    assert api.send("DELETE", f"{PATH}/order.paid").status_code == 204
    assert api.get(f"{PATH}/order.paid").status_code == 404


def test_answers_are_as_described(api: Program) -> None:
    description = api.get("/api/openapi.json").json
    assert description is not None
    declare(api)
    api.post(f"{PATH}/order.paid/versions", {"schema": SCHEMA})
    for path, template in (
        (PATH, PATH),
        (f"{PATH}/order.paid", f"{PATH}/{{name}}"),
        ("/api/v1/asyncapi.json", "/api/v1/asyncapi.json"),
    ):
        answer = api.get(path)
        schema = description["paths"][template]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert faults(answer.json, schema, description) == [], path
    for name, path, method in (
        ("EventTypeDraft", f"{PATH}/a.b", "PUT"),
        ("EventTypeVersionDraft", f"{PATH}/a.b/versions", "POST"),
    ):
        for example in description["components"]["schemas"][name]["examples"]:
            assert api.send(method, path, example).status_code == 201


def test_the_list_is_paged_by_name_and_searched(api: Program) -> None:
    for name in ("b.two", "a.one", "c.three"):
        declare(api, name, owner="Shop" if name == "b.two" else "")
    first = api.get(f"{PATH}?limit=2").json
    assert first is not None
    assert [one["name"] for one in first["data"]] == ["a.one", "b.two"]
    rest = api.get(f"{PATH}?limit=2&cursor={first['next_cursor']}").json
    assert rest is not None
    assert [one["name"] for one in rest["data"]] == ["c.three"]
    assert rest["next_cursor"] is None
    found = api.get(f"{PATH}?q=shop").json
    assert found is not None
    assert [one["name"] for one in found["data"]] == ["b.two"]
    assert api.get(f"{PATH}?state=odd").status_code == 400


def test_if_match_and_bad_names(api: Program) -> None:
    declare(api)
    stale = api.send("PUT", f"{PATH}/order.paid", {}, headers={"If-Match": '"7"'})
    assert stale.status_code == 412
    assert api.send("DELETE", f"{PATH}/order.paid", headers={"If-Match": '"7"'}).status_code == 412
    assert declare(api, "Not A Type").status_code == 422


def test_a_discovered_type_is_accepted(api: Program, sqlite_rt: Runtime) -> None:
    make.make_event(sqlite_rt, type="order.seen", payload={"a": 1})
    discovery.look(sqlite_rt)
    found = api.get(f"{PATH}/order.seen").json
    assert found is not None
    assert (found["state"], found["inferred"]["required"]) == ("discovered", ["a"])
    accepted = api.post(f"{PATH}/order.seen/accept?validation=warn")
    assert accepted.json is not None
    assert (accepted.json["state"], accepted.json["validation"]) == ("declared", "warn")
    assert api.post(f"{PATH}/order.seen/accept").status_code == 409


def test_import_says_first_and_then_does(api: Program) -> None:
    declare(api)
    document = api.get("/api/v1/asyncapi.json").json
    assert document is not None
    document["channels"]["order.new"] = {"address": "order.new", "x-signalbox": {"owner": "Shop"}}
    dry = api.post(f"{PATH}/import?dry_run=true", document).json
    assert dry is not None
    assert [(one["name"], one["action"]) for one in dry["types"]] == [("order.new", "added"), ("order.paid", "same")]
    assert api.get(f"{PATH}/order.new").status_code == 404
    assert api.post(f"{PATH}/import", document).status_code == 200
    assert api.get(f"{PATH}/order.new").status_code == 200
    alone = api.post(f"{PATH}/import?type=order.alone", SCHEMA)
    assert alone.status_code == 200
    assert api.post(f"{PATH}/import", SCHEMA).status_code == 422


def test_who_only_reads_changes_nothing(app: Flask, api: Program) -> None:
    declare(api)
    viewer = add_program(app, "viewer")
    assert viewer.get(f"{PATH}/order.paid").status_code == 200
    for method, path in (
        ("PUT", f"{PATH}/order.paid"),
        ("DELETE", f"{PATH}/order.paid"),
        ("POST", f"{PATH}/order.paid/versions"),
        ("POST", f"{PATH}/order.paid/accept"),
        ("POST", f"{PATH}/import"),
    ):
        assert viewer.send(method, path, {}).status_code == 403, path
