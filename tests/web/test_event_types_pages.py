"""Pages of the catalog of event types, and the faults on the page of an event."""

from __future__ import annotations

import json

from sqlalchemy import insert
from werkzeug.test import TestResponse

from tests.support import factories as make
from tests.support.pages import soup, words
from tests.support.people import Person
from webapp.domain.access import Actor
from webapp.domain.event_types import parse_type, parse_version
from webapp.runtime import Runtime
from webapp.services import discovery
from webapp.services import event_types as service
from webapp.store import event_types, tables

NAME = "order.paid"
SCHEMA = {"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}}
ADA = Actor(kind="user", id="usr_ada", name="ada", role="admin")


def declare(rt: Runtime, name: str = NAME, **fields: object) -> None:
    service.put(rt, ADA, name, parse_type(fields))


def version(rt: Runtime, schema: object = SCHEMA, **fields: object) -> None:
    service.add_version(rt, ADA, NAME, parse_version({"schema": schema, **fields}))


def submit(person: Person, path: str, **form: str) -> TestResponse:
    return person.post(path, form)


def fault(rt: Runtime, uid: str, verdict: str = "rejected") -> None:
    faults = [{"pointer": "/payload/amount", "code": "required", "message": "This field is <b>required</b>."}]
    row = {"event_uid": uid, "verdict": verdict, "schema_version": 1, "faults": faults, "total": 4}
    with rt.db.write() as conn:
        conn.execute(insert(tables.event_faults), row)


def test_the_list_and_its_filter(as_viewer: Person, sqlite_rt: Runtime) -> None:
    assert "No event types yet" in as_viewer.get("/event-types").text
    declare(sqlite_rt, owner="Shop", validation="reject")
    declare(sqlite_rt, "user.left", deprecated=True)
    version(sqlite_rt)
    make.make_event(sqlite_rt, type=NAME)
    page = soup(as_viewer.get("/event-types"))
    row = words(page.find(id=f"event-type-{NAME}"))
    assert "Shop" in row
    assert "are rejected" in row
    assert "Deprecated" in words(page.find(id="event-type-user.left"))
    assert page.find(id="event-type-user.left") is not None
    found = soup(as_viewer.get("/event-types?q=shop"))
    assert found.find(id="event-type-user.left") is None
    assert soup(as_viewer.get("/event-types?state=deprecated")).find(id=f"event-type-{NAME}") is None
    assert "New event type" not in as_viewer.get("/event-types").text


def test_the_page_of_a_type(as_viewer: Person, sqlite_rt: Runtime) -> None:
    declare(sqlite_rt, description="<i>Paid</i>", deprecated=True, deprecation="use order.settled")
    version(sqlite_rt, examples=[{"amount": 3}])
    version(sqlite_rt, {"required": ["amount", "currency"]}, note="with currency")
    make.make_subscription(sqlite_rt, name="Orders", pattern="order.*")
    make.make_subscription(sqlite_rt, name="Users", pattern="user.*")
    uid = make.make_event(sqlite_rt, type=NAME, source="till-7")
    fault(sqlite_rt, uid)
    answer = as_viewer.get(f"/event-types/{NAME}")
    page = soup(answer)
    assert "use order.settled" in words(page)
    assert "currency" in words(page.find(id="type-schema-text"))
    assert "till-7" in words(page)
    assert "Orders" in words(page)
    assert "Users" not in words(page)
    assert "/payload/amount" in words(page)
    assert "&lt;i&gt;Paid" in answer.text
    assert "<b>required" not in answer.text
    first = soup(as_viewer.get(f"/event-types/{NAME}?version=1"))
    assert "currency" not in words(first.find(id="type-schema-text"))
    compared = soup(as_viewer.get(f"/event-types/{NAME}?version=2&against=1"))
    lines = {(line.get("data-sign"), line.get_text()[1:].strip()) for line in compared.select("pre .diff-line")}
    assert ("+", '"currency"') in lines
    assert ("-", '"type": "object",') in lines
    assert as_viewer.get("/event-types/no.such").status_code == 404


def test_declared_edited_and_deleted_by_form(as_operator: Person, sqlite_rt: Runtime) -> None:
    bad = submit(as_operator, "/event-types/-/new", name="Not A Type", validation="reject", compatibility="none")
    assert bad.status_code == 422
    assert "A type is words of" in bad.text
    fields = {"name": NAME, "owner": "Shop", "validation": "reject", "compatibility": "full"}
    assert submit(as_operator, "/event-types/-/new", **fields).status_code == 303
    assert "has this type" in submit(as_operator, "/event-types/-/new", **fields).text
    edit = soup(as_operator.get(f"/event-types/{NAME}/edit"))
    assert edit.find(id="f-owner")["value"] == "Shop"
    fields |= {"owner": "Till", "deprecated": "on", "deprecation": "use another", "revision": "1"}
    assert submit(as_operator, f"/event-types/{NAME}/edit", **fields).status_code == 303
    assert submit(as_operator, f"/event-types/{NAME}/edit", **fields).status_code == 409
    assert "use another" in as_operator.get(f"/event-types/{NAME}").text
    assert submit(as_operator, f"/event-types/{NAME}/delete", revision="2").status_code == 303
    assert as_operator.get(f"/event-types/{NAME}").status_code == 404


def test_a_version_by_form(as_operator: Person, sqlite_rt: Runtime) -> None:
    declare(sqlite_rt, compatibility="backward")
    url = f"/event-types/{NAME}/versions"
    assert submit(as_operator, url, schema="{", revision="1").status_code == 422
    wrong = submit(as_operator, url, schema=json.dumps(SCHEMA), examples='[{"amount": "x"}]', revision="1")
    assert "/0/amount" in wrong.text
    good = submit(as_operator, url, schema=json.dumps(SCHEMA), examples='[{"amount": 1}]', note="first", revision="1")
    assert good.status_code == 303
    stricter = json.dumps(SCHEMA | {"required": ["amount", "x"]})
    refused = submit(as_operator, url, schema=stricter, revision="2")
    assert refused.status_code == 422
    assert "version 1" in refused.text
    assert "&#34;amount&#34;" in as_operator.get(url).text


def test_a_discovered_type_is_accepted_with_a_button(as_operator: Person, sqlite_rt: Runtime) -> None:
    make.make_event(sqlite_rt, type="order.seen", payload={"a": 1})
    discovery.look(sqlite_rt)
    page = soup(as_operator.get("/event-types/order.seen"))
    assert "Worked out from 1 event" in words(page)
    assert submit(as_operator, "/event-types/order.seen/accept", validation="warn", revision="1").status_code == 303
    assert "Schema of version 1" in as_operator.get("/event-types/order.seen").text


def test_import_previews_and_then_imports(as_operator: Person, sqlite_rt: Runtime) -> None:
    declare(sqlite_rt)
    version(sqlite_rt)
    document = as_operator.get("/event-types/-/asyncapi.json").text
    service.delete(sqlite_rt, ADA, NAME)
    preview = soup(submit(as_operator, "/event-types/-/import", document=document))
    assert "Added" in words(preview)
    assert as_operator.get(f"/event-types/{NAME}").status_code == 404
    assert submit(as_operator, "/event-types/-/import", document=document, do="import").status_code == 303
    assert as_operator.get(f"/event-types/{NAME}").status_code == 200
    assert "neither JSON nor YAML" in submit(as_operator, "/event-types/-/import", document="a: [").text


def test_the_page_of_an_event_shows_its_faults(as_viewer: Person, sqlite_rt: Runtime) -> None:
    rejected = make.make_event(sqlite_rt, type=NAME, problem="It does not fit.")
    warned = make.make_event(sqlite_rt, type=NAME)
    fault(sqlite_rt, rejected)
    fault(sqlite_rt, warned, "warned")
    page = as_viewer.get(f"/events/{rejected}")
    assert "Why it was rejected" in page.text
    assert "/payload/amount" in page.text
    assert "4 in all" in page.text
    assert "Which subscriptions were considered" not in page.text  # none was
    assert "Why it has a warning" in as_viewer.get(f"/events/{warned}").text
    listed = as_viewer.get("/events?status=rejected").text
    assert rejected in listed
    assert warned not in listed


def test_who_only_reads_gets_no_forms(as_viewer: Person, sqlite_rt: Runtime) -> None:
    declare(sqlite_rt)
    for path in ("/-/new", "/-/import", f"/{NAME}/edit", f"/{NAME}/versions"):
        assert as_viewer.get(f"/event-types{path}").status_code == 403
    assert submit(as_viewer, f"/event-types/{NAME}/delete", revision="1").status_code == 403
    with sqlite_rt.db.read() as conn:
        assert event_types.get_type(conn, NAME).revision == 1


def test_the_page_of_an_event_says_that_its_type_is_deprecated(as_viewer: Person, sqlite_rt: Runtime) -> None:
    uid = make.make_event(sqlite_rt, type=NAME)
    assert "deprecated" not in as_viewer.get(f"/events/{uid}").text
    declare(sqlite_rt, deprecated=True, deprecation="use order.settled")
    assert "deprecated: use order.settled" in as_viewer.get(f"/events/{uid}").text
