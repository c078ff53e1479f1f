"""A hub with one of everything in it, with these words wherever words may stand: plain ones, or hostile ones.

What the hub would refuse is written past it: a page must be safe whatever the database holds.
"""

from __future__ import annotations

import json
from typing import Any

from flask import Flask
from sqlalchemy import Text, insert, select, update
from werkzeug.routing import Rule

from tests.support import factories as make
from tests.support.people import add_program
from tests.support.routes import addresses, rules
from webapp.domain.access import Actor
from webapp.runtime import Runtime
from webapp.services import discovery
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.store import audit, tables, tables_catalog, tables_hub, tables_inbound
from webapp.store.columns import metadata
from webapp.web.auth import MACHINE_PATHS

# Text that the hub itself made, or that it reads again: in any other column of text may stand what others wrote.
OURS = {
    "api_keys": {"secret_hash"},
    "audit": {"actor_name", "details", "ip", "target_name", "words"},  # append-only: ``_rows`` adds an entry
    "deliveries": {"cancel_requested_by"},
    "event_type_versions": {"schema"},
    "events": {"payload", "trace_id"},
    "idempotency_keys": {"body"},
    "schedules": {"cron", "payload", "time_zone"},
    "sessions": {"ip"},
    "subscriptions": {"pattern"},
    "users": {"password_hash"},
}
ALSO_THEIRS = {
    "attempts": ("worker",),
    "deliveries": ("order_key", "limit_key"),
    "events": ("source",),
    "schedules": ("source",),
    "sources": ("event_source",),
}


def inhabit(app: Flask, words: str) -> dict[str, str]:
    """Make one of everything; gives ids by the names that they have in addresses."""
    rt: Runtime = app.extensions["signalbox"]
    api = add_program(app, "admin")
    _offer_handlers(rt, words)
    ids = {
        "name": "order.paid",
        "secret": "SHOP",
        "unused_secret": "UNUSED",
        "slug": "not-found",
        "revision": "1",
        "event_type": "order.paid",
    }
    for name in ("SHOP", "UNUSED"):
        _said(api.post("/api/v1/secrets", {"name": name, "value": "x" * 20, "description": words[:200]}))
    ids |= _catalog(api, words)
    ids |= _rule(api, words)
    ids |= _event(api, words)
    ids |= _deliveries(rt, ids, words)
    ids |= _sources(app, api, words)
    ids |= _rows(rt, words)
    draft = {
        "name": words[:120],
        "cron": "0 3 * * *",
        "type": "night.fell",
        "payload": {"a": words},
        "labels": {"a": words[:200]},
    }
    ids["schedule_id"] = _said(api.post("/api/v1/schedules", draft))["id"]
    chosen = {"state": ["dead"], "event": {"field": "data.note", "op": "eq", "value": words}}
    order = {"kind": "retry", "selection": chosen, "reason": words[:200]}
    ids["operation_id"] = _said(api.post("/api/v1/bulk", order))["id"]
    fault = {"operation_id": ids["operation_id"], "target_id": ids["delivery_id"], "at": rt.clock(), "message": words}
    _insert(rt, tables.bulk_errors, fault)
    wanted = {"what": "events", "filter": {"source": words[:200]}}
    ids["transfer_id"] = ids["export_id"] = _said(api.post("/api/v1/exports", wanted))["id"]
    needs: Any = api.get("/api/v1/needs").json
    groups = {one["error_type"]: one["id"] for one in needs["data"]}
    discovery.look(rt)
    return ids | {"group": groups[words[:200]], "group_4": groups["Gone"]}


def readable(app: Flask, ids: dict[str, str]) -> list[str]:
    """Every address that people may look at, of everything in there."""
    open_to_people = [one for one in rules(app, "GET") if not one.rule.startswith((*MACHINE_PATHS, "/static"))]
    if not ids:
        return [one.rule for one in open_to_people if not one.arguments]
    return [address for rule in open_to_people for address in addresses(rule, _values(ids, rule))]


def _values(ids: dict[str, str], rule: Rule) -> dict[str, list[str]]:
    many = {name: [value] for name, value in ids.items()}
    many["delivery_id"] = [ids[name] for name in ("delivery_id", "running", "waiting", "done", "held")]
    many["uid"] = [ids[name] for name in ("uid", "caused", "rejected")]
    many["name"] = [ids["secret"]] if "secrets" in rule.rule else [ids[one] for one in ("name", "strict", "discovered")]
    if "request_id" not in rule.arguments:
        many["source_id"] = [ids["source_id"], ids["signed"]]
    return many


def poison(rt: Runtime, words: str) -> list[str]:
    """Write the words over every text that others may have written; names the columns."""
    found = []
    with rt.db.write() as conn:
        for table in metadata.sorted_tables:
            theirs = {column.name for column in table.columns if type(column.type) is Text} - OURS.get(
                table.name, set()
            )
            for name in sorted({*theirs, *ALSO_THEIRS.get(table.name, ())}):
                column = table.c[name]
                said = f"javascript:{words}" if name == "link" else words
                conn.execute(update(table).where(column.is_not(None)).values({name: said[: _length_of(column)]}))
                found.append(f"{table.name}.{name}")
    return found


def _length_of(column: Any) -> int:
    return getattr(column.type, "length", None) or 5_000


def _said(answer: Any) -> Any:
    assert answer.status_code < 300, answer.text
    return answer.json


def _insert(rt: Runtime, table: Any, *rows: dict[str, Any]) -> None:
    with rt.db.write() as conn:
        conn.execute(insert(table), list(rows))


def _offer_handlers(rt: Runtime, words: str) -> None:
    note = {"type": "string", "title": words, "description": words, "default": words, "examples": [words]}
    choice = {"type": "string", "enum": ["a", words], "description": words}
    secret = {"type": "string", "title": words, "x-sensitive": True}
    schema = {
        "type": "object", "title": words, "description": words, "additionalProperties": {},
        "properties": {"note": note, "choice": choice, "token": secret, "many": {"type": "array", "items": note}},
    }  # fmt: skip
    offered = [HandlerInfo("log", words, options_schema=schema), HandlerInfo("plug.in", words, True, {}, words, True)]
    register_handlers(rt, offered)


def _catalog(api: Any, words: str) -> dict[str, str]:
    said = {"owner": words[:120], "description": words, "deprecated": True, "deprecation": words[:400]}
    _said(api.send("PUT", "/api/v1/event-types/order.paid", said | {"validation": "warn"}))
    part = {"type": "number", "title": words, "description": words}
    schema = {"type": "object", "title": words, "required": ["amount"], "properties": {"amount": part, words: part}}
    for version in (schema, {**schema, "$comment": words, "description": words}):
        sent = {"schema": version, "examples": [{"amount": 1, "note": words}], "note": words[:400]}
        _said(api.post("/api/v1/event-types/order.paid/versions", sent))
    _said(api.send("PUT", "/api/v1/event-types/order.strict", {"validation": "reject", "owner": words[:120]}))
    _said(api.post("/api/v1/event-types/order.strict/versions", {"schema": schema}))
    return {"strict": "order.strict", "discovered": "night.walk"}


def _rule(api: Any, words: str) -> dict[str, str]:
    draft: dict[str, Any] = {
        "name": words[:120], "pattern": "order.*", "handler": "log",
        "options": {"note": words, "choice": "a", "token": "{secret.SHOP}", "many": [words]},
        "condition": {"not": {"field": "data.note", "op": "eq", "value": words + "!"}},
        "transform": {"payload": {"note": "{data.note}", "said": words.replace("{", "(").replace("}", ")")}},
    }  # fmt: skip
    made = _said(api.post("/api/v1/subscriptions", draft))
    other = draft | {"options": draft["options"] | {"note": words[::-1]}, "condition": None}
    path = f"/api/v1/subscriptions/{made['id']}"
    _said(api.send("PUT", path, other, query_string={"note": words[:100]}))
    return {"subscription_id": made["id"]}


def _event(api: Any, words: str) -> dict[str, str]:
    payload = {"note": words, words: [words, {words: 1}], "amount": words}
    said = {"payload": payload, "labels": {"note": words[:200]}, "subject": words[:200], "id": "o-1"}
    first = _said(api.post("/api/v1/events", {"type": "order.paid", "source": "shop", **said}))
    after = {"type": "night.walk", "causation_id": first["uid"], "payload": payload, "correlation_id": "c-1"}
    second = _said(api.post("/api/v1/events", after))
    rejected = api.post("/api/v1/events", {"type": "order.strict", "payload": payload})
    assert rejected.status_code == 422, rejected.text
    return {
        "event_id": first["uid"],
        "uid": first["uid"],
        "caused": second["uid"],
        "rejected": rejected.json["event_id"],
    }


def _deliveries(rt: Runtime, ids: dict[str, str], words: str) -> dict[str, str]:
    rule = ids["subscription_id"]
    failed = {"error_type": words[:200], "error_message": words}
    found = {
        "delivery_id": make.make_delivery(rt, make.make_event(rt), rule, state="dead", reason="exhausted", **failed),
        "running": make.make_delivery(
            rt, make.make_event(rt), rule, state="running", attempt=1, lease_owner="worker-1", started_at=rt.clock(),
            progress_done=1.0, progress_total=2.0, progress_message=words,
        ),
        "waiting": make.make_delivery(rt, make.make_event(rt), rule, state="waiting", attempt=1, **failed),
        "done": make.make_delivery(rt, make.make_event(rt), rule, state="succeeded", attempt=1, finished_at=rt.clock()),
        "held": make.make_delivery(rt, make.make_event(rt), rule, state="held", reason="paused", order_key=words[:100]),
    }  # fmt: skip
    for n, kind in enumerate(("Timeout", "Refused", "Gone"), 2):
        died = {"state": "dead", "reason": "permanent", "error_type": kind, "error_message": words}
        found[f"dead_{n}"] = make.make_delivery(rt, make.make_event(rt), rule, **died)
    for name in ("delivery_id", "waiting"):
        make.make_attempt(rt, found[name], stack=words, result=None, **failed)
    make.make_attempt(rt, found["done"], outcome="succeeded", error_type=None, error_message=None, stack=None)
    line = {"delivery_id": found["delivery_id"], "attempt": 1, "at": rt.clock(), "level": "info", "text": words}
    _insert(rt, tables.log_lines, line, line | {"level": "error"})
    state = {"subscription_id": rule, "key": words[:150], "value": json.dumps({words: words}), "updated_at": rt.clock()}
    _insert(rt, tables.handler_state, state)
    return found


def _sources(app: Flask, api: Any, words: str) -> dict[str, str]:
    mapping = {"subject": "{header.x-note}"}
    made = _said(api.post("/api/v1/sources", {"name": words[:120], "kind": "none", "mapping": mapping}))
    signed = _said(api.post("/api/v1/sources", {"name": f"2 {words}"[:120], "kind": "github"}))
    shell = _said(api.post("/api/v1/sources", {"name": "Shell", "kind": "publish"}))
    sender, one_line = app.test_client(), {"X-Note": words, "User-Agent": words}
    for path in (made["url"], signed["url"]):
        sender.post(path, json={"type": words, words: words}, headers=one_line)
        sender.post(path, data=words, content_type="text/plain", headers=one_line)
    rt: Runtime = app.extensions["signalbox"]
    with rt.db.read() as conn:
        kept = conn.execute(
            select(tables_inbound.source_requests.c.id).where(tables_inbound.source_requests.c.source_id == made["id"])
        )
        request_id = kept.scalars().first()
    token = shell["url"].rpartition("/")[2]
    return {"source_id": made["id"], "signed": signed["id"], "request_id": str(request_id), "token": token}


def _rows(rt: Runtime, words: str) -> dict[str, str]:
    now = rt.clock()
    told = {"id": rt.new_id("ntf"), "at": now, "severity": "error", "title": words, "body": words, "last_at": now}
    _insert(rt, tables_hub.notifications, told)
    for kind, state in (("shared", "busy"), ("isolated", "idle"), ("beat", "stopping")):
        seen = {"state": state, "pid": 7, "running": 1, "finished": 3, "started_at": now, "seen_at": now}
        _insert(rt, tables_hub.workers, {"name": f"{kind} {words}"[:128], "kind": kind, "host": words, **seen})
    somebody = Actor("user", "usr_1", words, "admin", words[:60], words)
    with rt.db.write() as conn:
        audit.add(
            conn, id=rt.new_id("aud"), at=now, actor=somebody, action="event.published", target_kind="event",
            target_id=words[:150], target_name=words, details={"reason": words, words: [words, {words: words}]},
        )  # fmt: skip
    event = {"type": "order.paid", "payload": {words: words}, "labels": {"note": words[:200]}}
    sample = {"id": rt.new_id("smp"), "type": "order.paid", "name": words, "event": event}
    _insert(rt, tables_catalog.samples, sample | {"created_at": now, "created_by": words})
    with rt.db.read() as conn:
        key_id = conn.execute(select(tables.api_keys.c.id)).scalars().first()
    return {"notification_id": told["id"], "sample_id": str(sample["id"]), "key_id": str(key_id)}
