"""Pages and API of inbound sources: who sees the address, and that a secret is seen once."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from tests.support import factories as make
from tests.support.pages import soup, words
from tests.support.people import Person, Program, add_program
from webapp.domain.consumed import CONSUMED
from webapp.runtime import Runtime
from webapp.store import tables, tables_inbound
from webapp.store.source_connections import save_connections
from webapp.web.source_words import KINDS

GITHUB = {
    "kind": "github",
    "name": "Shop repository",
    "event_source": "github.com/acme",
    "type": "",
    "id": "",
    "subject": "",
}
API = "/api/v1/sources"
GROUP = {"group": "hub", "begin": "all"}
BROKER_FIELDS = {
    "rabbitmq": {"url": "amqp://hub@rabbit.example", "queue": "in"},
    "kafka": {"url": "kafka://a.example,b.example:9093", "topic": "in", "mechanism": "PLAIN", **GROUP},
    "nats": {"url": "nats://nats.example", "stream": "IN", "filter": "in.>", **GROUP},
    "mqtt": {"url": "mqtt://hub@mqtt.example", "topic": "plant/#"},
    "redis": {"url": "rediss://redis.example/1", "stream": "in", **GROUP},
}


def rows(rt: Runtime) -> list[Any]:
    return make.rows_of(rt, tables_inbound.sources)


def create(person: Person, **fields: str) -> str:
    answer = person.post("/sources", GITHUB | fields)
    found = re.search(r"/sources/(src_[0-9a-v]+)", answer.text + answer.headers.get("Location", ""))
    assert found, answer.text[:300]
    return found[1]


def test_secret_that_the_hub_made_is_in_one_answer_only(as_operator: Person, sqlite_rt: Runtime) -> None:
    answer = as_operator.post("/sources", GITHUB)
    (row,) = rows(sqlite_rt)
    secret = words(soup(answer).find(id="source-secret"))
    assert len(secret) >= 40
    page = as_operator.get(f"/sources/{row.id}")
    assert secret not in page.text
    assert row.token in words(soup(page).find(id="source-address"))
    assert secret.encode() not in row.sealed
    audits = make.rows_of(sqlite_rt, tables.audit)
    assert [one.action for one in audits if one.target_kind == "source"] == ["source.created"]
    assert secret not in str(audits)


def test_viewer_sees_neither_address_nor_buttons(as_operator: Person, as_viewer: Person, sqlite_rt: Runtime) -> None:
    source_id = create(as_operator)
    (row,) = rows(sqlite_rt)
    page = as_viewer.get(f"/sources/{source_id}")
    assert row.token not in page.text
    assert "Rotate" not in page.text
    assert "Edit" not in words(soup(page).find("main"))
    for path in ("", "/rotate", "/disable", "/delete"):
        assert as_viewer.post(f"/sources/{source_id}{path}").status_code == 403
    assert as_viewer.get("/sources/new").status_code == 403
    assert row.token not in as_viewer.get("/sources").text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_form_and_a_page(as_operator: Person, kind: str) -> None:
    assert soup(as_operator.get(f"/sources/new?kind={kind}")).find(id="sources-form")
    fields = {"header": "X-Sig", "algorithm": "sha1", "encoding": "base64", "user": "erp", "tolerance_s": "60"}
    source_id = create(as_operator, kind=kind, **fields, **BROKER_FIELDS.get(kind, {}))
    page = soup(as_operator.get(f"/sources/{source_id}"))
    if kind in CONSUMED:
        assert "/in/" not in page.text
        assert "SIGNALBOX_CONSUMERS" in words(page.find(id="connections"))
        assert "test.sent" in words(page.find(id="source-command"))
    else:
        assert "/in/" in page.text or "/p/" in page.text
        assert "curl" in words(page.find(id="source-command")) or "Webhook" in page.text
    assert (
        soup(as_operator.get(f"/sources/{source_id}/edit")).find("input", {"name": "name"})["value"] == GITHUB["name"]
    )  # type: ignore[index]


def test_faulty_form_is_shown_again_with_what_is_wrong(as_operator: Person, sqlite_rt: Runtime) -> None:
    answer = as_operator.post("/sources", GITHUB | {"name": "", "type": "{nothing}", "secret": "short"})
    page = soup(answer)
    assert answer.status_code == 422
    assert {link["href"] for link in page.select("[role=alert] a")} == {"#f-name", "#f-type", "#f-secret"}
    assert "short" not in str(page.find("input", {"name": "secret"}))
    assert rows(sqlite_rt) == []


def test_edit_disable_rotate_and_delete(as_operator: Person, sqlite_rt: Runtime) -> None:
    source_id = create(as_operator)
    saved = as_operator.post(f"/sources/{source_id}", GITHUB | {"revision": "1", "type": "gh.{header.x-github-event}"})
    assert saved.status_code == 303
    stale = as_operator.post(f"/sources/{source_id}", GITHUB | {"revision": "1", "name": "Other"})
    assert (stale.status_code, rows(sqlite_rt)[0].name) == (409, GITHUB["name"])
    assert as_operator.post(f"/sources/{source_id}/disable").status_code == 303
    assert as_operator.post(f"/sources/{source_id}/disable").status_code == 409
    assert "Disabled" in words(soup(as_operator.get("/sources")).find(id=f"source-{source_id}"))
    assert as_operator.post(f"/sources/{source_id}/enable").status_code == 303
    rotated = as_operator.post(f"/sources/{source_id}/rotate", {"secret": "", "overlap": "24"})
    assert soup(rotated).find(id="source-secret")
    assert rows(sqlite_rt)[0].previous_sealed is not None
    assert as_operator.post(f"/sources/{source_id}/rotate", {"secret": "x", "overlap": "24"}).status_code == 422
    assert as_operator.post(f"/sources/{source_id}/delete").status_code == 303
    (row,) = rows(sqlite_rt)
    assert (row.sealed, row.previous_sealed) == (None, None)
    assert as_operator.get(f"/sources/{source_id}").status_code == 404
    audits = [one.action for one in make.rows_of(sqlite_rt, tables.audit) if one.target_kind == "source"]
    told = ["created", "updated", "disabled", "enabled", "secret_rotated", "deleted"]
    assert audits == [f"source.{action}" for action in told]


def test_requests_are_listed_with_reasons_and_shown_inertly(
    app: Flask, as_operator: Person, sqlite_rt: Runtime
) -> None:
    source_id = create(as_operator)
    (row,) = rows(sqlite_rt)
    hostile = b"<img src=x onerror=alert(1)>"
    app.test_client().post(f"/in/{row.token}", data=hostile, headers={"X-GitHub-Event": "<b>x</b>"})
    page = soup(as_operator.get(f"/sources/{source_id}"))
    assert "X-Hub-Signature-256 is missing" in words(page.find(id="sources-requests"))
    part = as_operator.part(f"/sources/{source_id}/requests")
    assert "".join(str(page.find(id="sources-requests")).split()) == "".join(
        str(soup(part).find(id="sources-requests")).split()
    )
    (request,) = make.rows_of(sqlite_rt, tables_inbound.source_requests)
    shown = as_operator.get(f"/sources/{source_id}/requests/{request.id}")
    assert hostile.decode() not in shown.text
    assert hostile.decode() in words(soup(shown).find(id="request-text"))
    listed = soup(as_operator.get("/sources")).find(id=f"source-{source_id}")
    assert words(listed).count("0 accepted 1 rejected") == 1


# The API


def test_api_creates_replaces_rotates_and_deletes(api: Program, app: Flask, sqlite_rt: Runtime) -> None:
    made = api.post(API, {"name": "ERP", "kind": "hmac", "options": {"header": "X-Sig"}})
    assert made.status_code == 201
    assert made.json is not None
    url, secret = made.json["url"], made.json["secret"]
    assert url.endswith(f"/in/{rows(sqlite_rt)[0].token}")
    path = made.json["links"]["self"]
    seen = api.get(path)
    assert "secret" not in seen.json  # type: ignore[operator]
    assert add_program(app, "viewer").get(path).json["url"] is None  # type: ignore[index]
    draft = {"name": "ERP", "kind": "hmac", "options": {"header": "X-Sig"}, "mapping": {"id": "{body.id}"}}
    assert api.send("PUT", path, draft, headers={"If-Match": '"9"'}).status_code == 412
    assert api.send("PUT", path, draft, headers={"If-Match": '"1"'}).json["mapping"]["id"] == "{body.id}"  # type: ignore[index]
    assert api.send("PUT", path, draft | {"kind": "none"}).status_code == 422
    rotated = api.send("PUT", f"{path}/secret", {"overlap_s": 60})
    assert rotated.json["secret"] != secret  # type: ignore[index]
    assert rotated.json["previous_until"]  # type: ignore[index]
    assert api.post(f"{path}/disable").json["state"] == "disabled"  # type: ignore[index]
    app.test_client().post(url.partition("/in")[1] + url.partition("/in")[2], data=b"{}")
    (request,) = api.get(f"{path}/requests").json["data"]  # type: ignore[index]
    assert (request["verdict"], request["status"]) == ("rejected", 403)
    assert api.send("DELETE", path).status_code == 204
    assert api.get(path).status_code == 404


def test_api_lists_by_name_and_pages(api: Program) -> None:
    for name in ("c", "a|x", "b"):
        assert api.post(API, {"name": name, "kind": "none"}).status_code == 201
    first = api.get(f"{API}?limit=2").json
    assert first is not None
    second = api.get(API, query_string={"limit": 2, "after": first["next_after"]}).json
    assert second is not None
    assert [one["name"] for one in first["data"] + second["data"]] == ["a|x", "b", "c"]
    assert second["has_more"] is False


def test_api_names_every_fault(api: Program) -> None:
    answer = api.post(API, {"name": "", "kind": "ftp", "colour": 1})
    assert answer.status_code == 422
    assert {fault["pointer"] for fault in answer.json["errors"]} == {"/name", "/kind", "/colour"}  # type: ignore[index]


def test_consumed_source_has_no_address_and_shows_how_its_connections_are(
    as_operator: Person, api: Program, sqlite_rt: Runtime
) -> None:
    source_id = create(as_operator, kind="nats", secret="pw", **BROKER_FIELDS["nats"])
    (row,) = rows(sqlite_rt)
    assert row.sealed is not None
    assert api.post(f"/in/{row.token}", {"type": "a.b"}).status_code == 404
    told = {
        "source_id": source_id, "worker": "consumer-1", "state": "waiting", "error": "AuthorizationError: no <b>",
        "error_at": sqlite_rt.clock(), "taken": 7, "since": sqlite_rt.clock(), "seen_at": sqlite_rt.clock(),
    }  # fmt: skip
    with sqlite_rt.db.write() as conn:
        save_connections(conn, [told])
    assert as_operator.post(f"/sources/{source_id}/rotate", {"secret": "q"}).status_code == 303
    assert rows(sqlite_rt)[0].sealed != row.sealed
    part = soup(as_operator.get(f"/sources/{source_id}/connections"))
    assert "Not connected" in words(part)
    assert "AuthorizationError: no <b>" in words(part)
    document = api.get(f"{API}/{source_id}").json
    assert (document["url"], document["options"]["stream"], document["has_secret"]) == (None, "IN", True)


@pytest.mark.parametrize(
    ("kind", "fields", "wrong"),
    [
        ("nats", {"url": "nats://hub:pw@nats.example"}, "url"),
        ("redis", {"url": "http://redis.example"}, "url"),
        ("mqtt", {"url": "mqtt://a.example,b.example"}, "url"),
        ("rabbitmq", {"queue": ""}, "queue"),
        ("kafka", {"begin": "yesterday"}, "begin"),
    ],
)
def test_what_is_wrong_with_a_consumed_source_is_shown_at_its_field(
    as_operator: Person, sqlite_rt: Runtime, kind: str, fields: dict[str, str], wrong: str
) -> None:
    page = soup(as_operator.post("/sources", GITHUB | BROKER_FIELDS[kind] | {"kind": kind} | fields))
    assert {link["href"] for link in page.select("[role=alert] a")} == {f"#f-{wrong}"}
    assert rows(sqlite_rt) == []
