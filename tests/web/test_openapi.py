"""The description of the API: complete, well-formed, and true to what the API answers."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from tests.support import factories as make
from tests.support.people import Person, Program
from tests.support.schemas import faults
from webapp.runtime import Runtime
from webapp.services.catalog import HandlerInfo, register_handlers
from webapp.web.problems import PROBLEMS

METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture
def description(api: Program) -> dict[str, Any]:
    found = api.get("/api/openapi.json").json
    assert isinstance(found, dict)
    return found


def test_description_has_every_route_and_method_of_the_api(app: Flask, description: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/v1", "/api/openapi", "/metrics", "/healthz", "/readyz"))
        for method in (rule.methods or set()) & METHODS
    }
    described = {(path, method) for path, item in description["paths"].items() for method in item}
    assert described == routes
    assert len(described) >= 20


def test_description_is_sound(description: dict[str, Any]) -> None:
    assert description["openapi"] == "3.1.0"
    names = set(description["components"]["schemas"])
    assert set(re.findall(r"#/components/schemas/(\w+)", str(description))) <= names
    operations = [one for item in description["paths"].values() for one in item.values()]
    ids = [one["operationId"] for one in operations]
    assert len(ids) == len(set(ids))
    for path, item in description["paths"].items():
        for one in item.values():
            in_path = {p["name"] for p in one.get("parameters", ()) if p["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", path))
            assert one["summary"]
            assert one["responses"]


def test_examples_of_the_description_are_accepted(
    api: Program, sqlite_rt: Runtime, description: dict[str, Any]
) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("log", "Writes a line.")])
    schemas = description["components"]["schemas"]
    for path, name, status in (
        ("/api/v1/events", "EventDraft", 202),
        ("/api/v1/subscriptions", "SubscriptionDraft", 201),
    ):
        for example in schemas[name]["examples"]:
            assert faults(example, schemas[name], description) == []
            assert api.post(path, example).status_code == status


def test_answers_are_as_described(api: Program, sqlite_rt: Runtime, description: dict[str, Any]) -> None:
    register_handlers(sqlite_rt, [HandlerInfo("log", "Writes a line.", options_schema={"type": "object"})])
    draft = {"name": "All", "pattern": "*", "handler": "log", "options": {}, "timeout": "5s"}
    subscription = api.post("/api/v1/subscriptions", draft).json["id"]  # type: ignore[index]
    event = api.post("/api/v1/events", {"type": "order.paid", "labels": {"a": "b"}}).json
    assert event is not None
    dead = make.make_delivery(sqlite_rt, state="dead", reason="exhausted", error_type="ValueError", error_message="no")
    make.make_attempt(sqlite_rt, dead)
    running = make.make_delivery(sqlite_rt, state="running", progress_done=1.0, progress_total=2.0)
    for method, template, ids, status in [
        ("get", "/api/v1/events", {}, 200),
        ("post", "/api/v1/events", {}, 202),
        ("get", "/api/v1/events/{event_id}", {"event_id": event["uid"]}, 200),
        ("get", "/api/v1/events/{event_id}/status", {"event_id": event["uid"]}, 200),
        ("get", "/api/v1/deliveries", {}, 200),
        ("get", "/api/v1/deliveries/{delivery_id}", {"delivery_id": dead}, 200),
        ("post", "/api/v1/deliveries/{delivery_id}/rerun", {"delivery_id": dead}, 201),
        ("post", "/api/v1/events/{event_id}/reroute", {"event_id": event["uid"]}, 200),
        ("post", "/api/v1/deliveries/{delivery_id}/retry", {"delivery_id": dead}, 200),
        ("post", "/api/v1/deliveries/{delivery_id}/cancel", {"delivery_id": running}, 200),
        ("get", "/api/v1/errors", {}, 200),
        ("get", "/api/v1/handlers", {}, 200),
        ("get", "/api/v1/subscriptions", {}, 200),
        ("get", "/api/v1/subscriptions/{subscription_id}", {"subscription_id": subscription}, 200),
        ("post", "/api/v1/subscriptions/{subscription_id}/pause", {"subscription_id": subscription}, 200),
        ("post", "/api/v1/subscriptions/{subscription_id}/resume", {"subscription_id": subscription}, 200),
        ("get", "/healthz", {}, 200),
        ("get", "/readyz", {}, 200),
        ("get", "/api/v1/events/{event_id}", {"event_id": "nothing"}, 404),
        ("get", "/api/openapi.json", {}, 200),
    ]:
        document = {"type": "order.paid"} if (method, template) == ("post", "/api/v1/events") else None
        answer = api.send(method.upper(), template.format(**ids), document)
        assert answer.status_code == status, f"{method} {template}: {answer.text}"
        described = description["paths"][template][method]["responses"][str(status)]["content"][answer.mimetype]
        assert faults(answer.json, described["schema"], description) == [], f"{method} {template}"


def test_every_problem_type_has_a_page(stranger: Person) -> None:
    for slug, problem in PROBLEMS.items():
        page = stranger.get(f"/problems/{slug}")
        assert page.status_code == 200
        assert problem.title in page.text
    assert stranger.get("/problems/nothing").status_code == 404


def test_every_problem_type_in_the_code_is_known() -> None:
    from pathlib import Path

    pattern = re.compile(
        r'(?:Refused\(\s*|refusal\(|_limit\(|slug = |slug, status, title = |slug, title = )"([a-z-]+)"'
    )
    root = Path(__file__).parents[2] / "webapp"
    used = {slug for path in root.rglob("*.py") for slug in pattern.findall(path.read_text())}
    assert used - {"error"} <= set(PROBLEMS)
    assert len(used) > 20
